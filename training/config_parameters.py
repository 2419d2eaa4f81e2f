"""Write facts about what was built into the parameters of a `config.pbtxt`, and leave the rest of it alone."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path


def set_parameters(config: Path, values: Mapping[str, str]) -> None:
    """Set string parameters that the file already has, each on a line of its own.

    The file is edited as text, not parsed and printed, so that its comments and order stay.

    Raises:
        KeyError: if the file has no such parameter.
    """
    text = config.read_text(encoding="utf-8")
    for key, value in values.items():
        line = re.compile(rf'(?<=key: "{re.escape(key)}" value: {{ string_value: ")(?:[^"\\\n]|\\.)*(?=" }})')
        if not line.search(text):
            raise KeyError(f"{config} has no parameter {key}")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        text = line.sub(partial(_constant, quoted), text)
    if text != config.read_text(encoding="utf-8"):
        config.write_text(text, encoding="utf-8")


def set_model_file(config: Path, name: str) -> None:
    """Set `default_model_filename`, which the file already has.

    Raises:
        KeyError: if it has not.
    """
    text, n_changed = re.subn(
        r'(?<=^default_model_filename: ")[^"\n]*', name, config.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    if not n_changed:
        raise KeyError(f"{config} has no default_model_filename")
    if text != config.read_text(encoding="utf-8"):
        config.write_text(text, encoding="utf-8")


def _constant(value: str, _match: re.Match[str]) -> str:
    """A replacement that `re` does not search for escapes."""
    return value
