"""The two kinds of log as arrays: requests of two arms, or pairs of runs of the same request."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SPLIT, SHADOW = "split", "shadow"
NOT_JUDGED = frozenset({"invalid"})
"""Outcomes of requests that say nothing about an arm: the text was refused."""

KEPT_OUT = "kept-out"

UNREAD, READ = -1, -2
"""In place of a file's number: before any file, and after one to whose end there is nothing to add."""


class LogError(ValueError):
    """A log that is none; the message names file and line."""


@dataclass(frozen=True)
class Arms:
    """N requests of an A/B test, in order.

    Attributes:
        names: of the arm that answers most, and of the candidate.
        is_candidate: BOOL [N].
        shares: the probability of the candidate's arm, FP64 [N].
        milliseconds: FP64 [N].
        is_wrong: whether the arm's pipeline gave no answer, BOOL [N].
    """

    names: tuple[str, str]
    is_candidate: Bools
    shares: Floats
    milliseconds: Floats
    is_wrong: Bools


@dataclass(frozen=True)
class Pairs:
    """N batches that were run in shadow, in order.

    Attributes:
        names: of the answer's source, and of the candidate.
        is_wrong: whether the candidate's scores differ, or it gave none, BOOL [N].
        first, second: milliseconds of both on the same terms, FP64 [M]: of those that ran both.
    """

    names: tuple[str, str]
    is_wrong: Bools
    first: Floats
    second: Floats


class _Split(NamedTuple):
    arm: str
    candidate: str
    share: float
    key: str | None
    ms: float
    outcome: str


class _Shadow(NamedTuple):
    answer: str
    candidate: str
    verdict: str
    again_ms: float | None
    candidate_ms: float


@dataclass
class Log:
    """A log as it grows.

    Attributes:
        file: where it is.
        first_of_key: whether only the first request of each key counts.
    """

    file: Path
    first_of_key: bool = False
    _splits: list[_Split] = field(default_factory=list)
    _shadows: list[_Shadow] = field(default_factory=list)
    _offset: int = 0
    _n_lines: int = 0
    _inode: int = UNREAD

    def read(self) -> int:
        """Read what is new; how many lines that were. A file that was renamed `<file>.1` is read to its end first.

        Raises:
            OSError: if there is no such file.
            LogError: for a line that is not of a split or a shadow.
        """
        before = len(self._splits) + len(self._shadows)
        older = self.file.with_name(self.file.name + ".1")
        if older.exists() and self._inode in (UNREAD, older.stat().st_ino):
            self._read(older)
            self._inode = READ
        if self._inode == UNREAD or self.file.exists():
            self._read(self.file)
        return len(self._splits) + len(self._shadows) - before

    def _read(self, file: Path) -> None:
        with file.open("rb") as lines:
            inode = os.fstat(lines.fileno()).st_ino
            if inode != self._inode:
                self._inode, self._offset, self._n_lines = inode, 0, 0
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._offset += len(line)
                self._n_lines += 1
                self._add(file, line)

    def _add(self, file: Path, line: bytes) -> None:
        try:
            parsed = json.loads(line)
            if parsed["event"] == SPLIT:
                self._splits.append(_Split(*(parsed[name] for name in _Split._fields)))
            elif parsed["event"] == SHADOW:
                self._shadows.append(_Shadow(*(parsed[name] for name in _Shadow._fields)))
            else:
                raise KeyError("event")
        except (ValueError, KeyError, TypeError) as error:
            raise LogError(f"{file}, line {self._n_lines}: neither of a split nor of a shadow: {error!r}") from error

    def data(self) -> Arms | Pairs | None:
        """What there is of the candidate that was written last; None if there is nothing."""
        if self._splits and self._shadows:
            raise LogError(f"{self.file} has lines of a split and of a shadow: watch one of them")
        if self._shadows:
            return self._pairs()
        return self._arms() if self._splits else None

    def _arms(self) -> Arms:
        last = self._splits[-1].candidate
        requests = [one for one in self._splits if one.candidate == last and one.outcome not in NOT_JUDGED]
        requests = [one for one in (self._firsts(requests) if self.first_of_key else requests) if 0 < one.share < 1]
        others = {one.arm for one in requests} - {last}
        ms = np.array([one.ms for one in requests], dtype=np.float64)
        return Arms(
            (next(iter(sorted(others)), "the other"), last),
            np.array([one.arm == last for one in requests], dtype=np.bool_),
            np.array([one.share for one in requests], dtype=np.float64),
            _without_ties(ms),
            np.array([one.outcome != "ok" for one in requests], dtype=np.bool_),
        )

    @staticmethod
    def _firsts(requests: Iterable[_Split]) -> Iterator[_Split]:
        seen = set()
        for one in requests:
            if one.key is None or one.key not in seen:
                seen.add(one.key)
                yield one

    def _pairs(self) -> Pairs:
        last = self._shadows[-1]
        names = (last.answer, last.candidate)
        runs = [one for one in self._shadows if (one.answer, one.candidate) == names and one.verdict != KEPT_OUT]
        both: list[tuple[float, float]] = [
            (one.again_ms, one.candidate_ms)
            for one in runs
            if one.again_ms is not None and one.verdict in ("same", "differs")
        ]
        first, second = np.array(both, dtype=np.float64).reshape(-1, 2).T
        return Pairs(
            names,
            np.array([one.verdict != "same" for one in runs], dtype=np.bool_),
            _without_ties(first),
            _without_ties(second),
        )


RESOLUTION_MS = 0.001
"""Of the times in the logs."""


def _without_ties(milliseconds: Floats) -> Floats:
    """Times that were rounded, spread evenly within what rounding hid: quantiles of ties are not one value."""
    spread = np.random.default_rng(len(milliseconds) and 1).uniform(-0.5, 0.5, len(milliseconds))
    return np.maximum(milliseconds + RESOLUTION_MS * spread, RESOLUTION_MS / 10 * (1 + spread))


def number(value: Any) -> float | None:
    """For JSON, which has neither infinity nor NaN."""
    return float(value) if math.isfinite(value) else None
