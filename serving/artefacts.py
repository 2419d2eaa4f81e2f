"""What must be built into the model repository before it can be served."""

from pathlib import Path

from readability_triton.serving.errors import NotBuiltError

ARTEFACTS = (
    Path("bert-large/1/model.pt"),
    Path("cuml/1/checkpoint.tl"),
    Path("gate/1/checkpoint.tl"),
    Path("preprocess/1/tokenizer.json"),
    Path("preprocess/1/features.json"),
)


def missing_artefacts(repository: Path) -> list[Path]:
    """Artefacts that are not there, as paths inside the repository.

    A repository without a `bert-large` model is somebody's own and is missing nothing.
    """
    return [path for path in ARTEFACTS if (repository / path.parts[0]).is_dir() and not (repository / path).is_file()]


def check_built(repository: Path) -> None:
    """Raise `NotBuiltError`, saying what to run, if an artefact is missing."""
    missing = missing_artefacts(repository)
    if missing:
        raise NotBuiltError(f"not built: {', '.join(map(str, missing))}; run `readability build`")
