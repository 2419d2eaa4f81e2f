"""Copies of the model repository that a fault may spoil."""

import re
import shutil
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from readability_triton.serving.repository import copy_repository
from readability_triton.serving.runtime import DROP_INS

_MODEL_FILE = re.compile(r"^default_model_filename: .*\n", re.MULTILINE)
"""Of a model of the Python backend it would be a Python file."""

HANG, RAISE, DROP = "HANG", "RAISE", "DROP"


def set_traps(repository: Path, models: Iterable[str]) -> None:
    """Wrap models of a copy, so that each hangs, fails or loses its senders for as long as `trap` says."""
    for model in models:
        folder = repository / model / "1"
        config = repository / model / "config.pbtxt"
        text = config.read_text(encoding="utf-8")
        for backend in ("pytorch", "fil"):
            if f'backend: "{backend}"' in text:
                text = _MODEL_FILE.sub("", text.replace(f'backend: "{backend}"', 'backend: "python"'))
                config.write_text(text, encoding="utf-8")
                shutil.copyfile(DROP_INS / backend / "model.py", folder / "model.py")
        (folder / "model.py").rename(folder / "original.py")
        template = resources.files(__package__) / "templates" / "trapped_model.py"
        (folder / "model.py").write_text(template.read_text(encoding="utf-8"), encoding="utf-8")


def trap(repository: Path, model: str, what: str) -> Path:
    """The file of a copy that, while it exists, makes `model` hang (HANG), fail (RAISE) or lose its senders (DROP)."""
    return repository / model / what


def set_parameter(repository: Path, model: str, key: str, value: str) -> None:
    """Change a string parameter in a copy's configuration; it must be there."""
    config = repository / model / "config.pbtxt"
    line = re.compile(rf'(key: "{key}" value: {{ string_value: ")[^"]*')
    text, n_changed = line.subn(rf"\g<1>{value}", config.read_text(encoding="utf-8"))
    assert n_changed == 1, f"{config} has no parameter {key}"
    config.write_text(text, encoding="utf-8")


def rename_copy(repository: Path, model: str, name: str) -> None:
    """Serve `model` of a copy under a second name, from its own folder."""
    copy_repository(repository / model, repository / name)
    config = repository / name / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(f'name: "{model}"', f'name: "{name}"', 1), encoding="utf-8")
