"""A release of NVIDIA's Triton container, and what `releases.toml` knows of it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent / "releases.toml"


class UnknownReleaseError(ValueError):
    """There is no such release in the data; the message names those that are."""


@dataclass(frozen=True)
class Release:
    """A release.

    Attributes:
        name: such as 26.06.
        server: version of `tritonserver`.
        python: of the Python backend's stub; empty where it is not known.
        treelite: of the FIL backend; empty where it is not known.
    """

    name: str
    server: str
    python: str = ""
    treelite: str = ""

    def has(self, name: str) -> bool:
        """Whether it has what `[since]` of the data calls so."""
        return self.is_at_least(since(name).release)

    def is_at_least(self, other: str) -> bool:
        """Whether it is another release, or later."""
        return _number(self.name) >= _number(other)


class Since(NamedTuple):
    """From which release on something holds, and where that was read."""

    release: str
    source: str


@cache
def facts() -> Mapping[str, Any]:
    """All data."""
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


def known_releases() -> list[str]:
    """The names, oldest first."""
    return sorted(facts()["releases"], key=_number)


def find_release(name: str) -> Release:
    """A release by name.

    Raises:
        UnknownReleaseError: if the data do not have it.
    """
    releases = facts()["releases"]
    if name not in releases:
        first, *_, last = known_releases()
        raise UnknownReleaseError(f"release {name!r} is not known; known are {first} to {last}, such as {last}")
    return Release(name, **releases[name])


def since(name: str) -> Since:
    """An entry of `[since]`."""
    return Since(**facts()["since"][name])


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))
