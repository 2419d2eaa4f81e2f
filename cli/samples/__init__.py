"""Ten passages written for this project, from a first reader to a journal abstract, easiest first."""

from importlib import resources


def sample_passages() -> dict[str, str]:
    """Name and text of each passage, easiest first."""
    files = sorted((file for file in resources.files(__name__).iterdir() if file.name.endswith(".txt")), key=str)
    return {file.name.removesuffix(".txt"): file.read_text(encoding="utf-8") for file in files}
