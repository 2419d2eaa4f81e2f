"""What a check finds."""

from typing import NamedTuple

WHOLE = ""
"""In place of a model's name: the repository or the server."""


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        model: whose it is, or `WHOLE`.
        text: what does not fit, and what to do about it.
        must_be_fixed: whether the repository cannot be served as it is, or not safely; else it is worth knowing.
        source: where the release's behaviour was read.
    """

    model: str
    text: str
    must_be_fixed: bool
    source: str


def error(model: str, text: str, source: str) -> Finding:
    """A finding that must be fixed."""
    return Finding(model, text, True, source)


def note(model: str, text: str, source: str) -> Finding:
    """A finding that is worth knowing."""
    return Finding(model, text, False, source)
