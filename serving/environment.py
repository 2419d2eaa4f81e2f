"""The environment variables that Triton and its Python stubs run with."""

import importlib.util
import os
import sys
from pathlib import Path

from readability_triton.serving.placement import Placement, placement_environment
from readability_triton.serving.runtime import Runtime

STAGE_DEFAULTS = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "10000",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
"""Unless the user's environment says otherwise: one thread for every stage but the encoder, which takes all cores for
itself; threads that spin only shortly while they wait; and memory kept for the next request rather than given back to
the kernel after each. Measured in docs/serve.md."""

BESIDE_NATIVE_LIBTORCH = {"OPENBLAS_NUM_THREADS": "1"}
"""In place of `OMP_NUM_THREADS` where the PyTorch backend is the native one. It computes in the server's process with
as many threads as OpenMP says, so one for all stages would leave the encoder a single core (0.71 of the throughput on
two). `INTRA_OP_THREAD_COUNT` in `config.pbtxt` could say otherwise, but not "all cores of the machine that serves".
The other stages do not need it: forests say `cpu_nthread` or `nthread` themselves, and NumPy listens to this."""

IMPORT_ROOT = Path(__file__).parents[2]
"""The folder that `readability_triton` is imported from: a checkout, or site-packages."""


def server_environment(runtime: Runtime, placement: Placement, repository: Path) -> dict[str, str]:
    """The server's environment, which its stubs inherit.

    Raises:
        PlacementError: if this machine cannot run the placement.

    The stub's interpreter ignores PYTHONPATH on Python 3.11: it finds packages by the `python3` that comes first on
    PATH, and ours by the working directory. PYTHONPATH is for interpreters that do read it.
    """
    packages = [str(IMPORT_ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    ours = {
        "PATH": [str(Path(sys.executable).parent)],
        "PYTHONPATH": packages,
        "LD_LIBRARY_PATH": [str(folder) for folder in (*runtime.libraries, *_cuda_libraries())],
    }
    environment = dict(os.environ)
    for name, paths in ours.items():
        environment[name] = os.pathsep.join([*paths, *filter(None, [environment.get(name)])])
    return _stage_defaults(runtime) | environment | placement_environment(placement, repository)


def _stage_defaults(runtime: Runtime) -> dict[str, str]:
    if "pytorch" not in runtime.backends or runtime.is_drop_in("pytorch"):
        return STAGE_DEFAULTS
    others = {name: value for name, value in STAGE_DEFAULTS.items() if name != "OMP_NUM_THREADS"}
    return others | BESIDE_NATIVE_LIBTORCH


def _cuda_libraries() -> list[Path]:
    """The folder of CUDA 13's libraries from pip, where CuPy 13 does not look for NVRTC (cupy #9318)."""
    nvidia = importlib.util.find_spec("nvidia")
    folders = [Path(path) / "cu13" / "lib" for path in (nvidia.submodule_search_locations or [])] if nvidia else []
    return [folder for folder in folders if folder.is_dir()]
