"""The artefacts that `readability build` adds to the model repository, and which of them are missing."""

from pathlib import Path

from readability_triton.serving.errors import NotBuiltError

ARTEFACTS = (
    Path("bert-large/1/model.pt"),
    Path("cuml/1/checkpoint.tl"),
    Path("preprocess/1/tokenizer.json"),
    Path("preprocess/1/features.json"),
)


def missing_artefacts(repository: Path) -> list[Path]:
    """Missing artefacts, as paths inside the repository.

    A model that the repository does not have needs no artefact.
    """
    return [path for path in ARTEFACTS if (repository / path.parts[0]).is_dir() and not (repository / path).is_file()]


def check_built(repository: Path) -> None:
    """Raise `NotBuiltError`, saying what to run, if an artefact is missing."""
    missing = missing_artefacts(repository)
    if missing:
        raise NotBuiltError(f"not built: {', '.join(map(str, missing))}; run `readability build`")
