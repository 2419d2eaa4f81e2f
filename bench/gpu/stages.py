"""What is installed and measured on a GPU, the most valuable first."""

from dataclasses import dataclass

BASE, RAPIDS, TORCH, INTERPRETER = "base", "rapids", "torch", "python"
"""Archives: what runs pipelines on Triton; CuPy, cuDF and nvForest; PyTorch with CUDA; a Python with its library."""

PYTHON_ARCHIVE = "python.tar.xz"
"""In the archive `python`."""


@dataclass(frozen=True)
class Stage:
    """One command, run by the environment's Python in the checkout.

    Attributes:
        name: of its lines in the results, and of the file with its output.
        arguments: of Python; `{results}` stands for the folder of the results.
        limit_s: after so many seconds it is ended, and the next one starts.
        needs: stages without whose success it is not run.
        archive: it installs this archive; not run where everything is installed already.
    """

    name: str
    arguments: tuple[str, ...] = ()
    limit_s: float = 120
    needs: tuple[str, ...] = ()
    archive: str | None = None


READABILITY = ("-m", "readability_triton.cli.main")
ENCODER = ("-m", "readability_triton.bench.gpu.encoder")
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--require-gpu", "--durations", "5")
PLACEMENTS = (*READABILITY, "placements", "--placement")
BERT_LARGE = "{results}/bert-large"

INSTALLED, BUILT, SERVED = ("install-base",), ("install-base", "build"), ("install-rapids", "build")

STAGES = (
    Stage("install-base", limit_s=180, archive=BASE),
    Stage("build", (*READABILITY, "build"), 120, INSTALLED),
    Stage("encoder", (*ENCODER, "--json", "{results}/encoder.json"), 150, BUILT),
    Stage("install-rapids", limit_s=240, needs=INSTALLED, archive=RAPIDS),
    Stage("doctor", (*READABILITY, "doctor"), 60, SERVED),
    Stage("served-scores", (*PYTEST, "tests/gpu/test_served_on_gpu.py", "-k", "scores"), 240, SERVED),
    Stage("placements", (*PLACEMENTS, "gpu", "--json", "{results}/placements.json"), 240, SERVED),
    Stage("bert-large", (*READABILITY, "random-encoder", BERT_LARGE), 120, BUILT),
    Stage(
        "placements-bert-large",
        (*PLACEMENTS, "gpu", "--model-repository", BERT_LARGE, "--json", "{results}/placements-bert-large.json"),
        240,
        (*SERVED, "bert-large"),
    ),
    Stage("encoder-tests", (*PYTEST, "tests/gpu/test_encoder_on_gpu.py"), 120, SERVED),
    Stage("forest", (*PYTEST, "tests/gpu/test_forest_on_gpu.py", "tests/gpu/test_copies_on_gpu.py"), 120, SERVED),
    Stage("preprocess", (*PYTEST, "tests/gpu/test_preprocess_on_gpu.py"), 240, SERVED),
    Stage("served-memory", (*PYTEST, "tests/gpu/test_served_on_gpu.py", "-k", "memory"), 300, SERVED),
    Stage("placements-cpu", (*PLACEMENTS, "cpu", "--json", "{results}/placements-cpu.json"), 600, BUILT),
)
