"""Send a share of the traffic to another pipeline, the same keys always, and record how each request went."""

import hashlib
import json
import random
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.scores import Scores

OK, FELL_BACK, INVALID = "ok", "fell-back", "invalid"
"""Outcomes of a request, besides the names of errors. `fell-back`: the other pipeline answered in its arm's place."""

DECIMALS = 4
"""Of the scores that make a digest: both pipelines give the same score to 1e-5."""


@dataclass(frozen=True)
class Split:
    """An A/B test between the pipeline that answers most requests and a candidate.

    A key is hashed to a number in [0, 1); it belongs to the candidate if that is below `share`. So the same key always
    meets the same pipeline, in every process, and a growing share only moves keys to the candidate. A call without a
    key is drawn anew.

    Attributes:
        candidate: the pipeline that gets the share.
        share: of keys, 0 to 1.
        log: where each request is recorded as a line of JSON, without its texts; None for nowhere.
        salt: goes into the hash, so that two tests do not take the same keys.
        values: whether the scores themselves are recorded; otherwise a digest.

    Raises:
        ValueError: for a share that is none.
        OSError: if the log cannot be written.
    """

    candidate: str
    share: float
    log: Path | str | None = None
    salt: str = ""
    values: bool = False
    draw: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"the share of {self.candidate} is from 0 to 1, not {self.share!r}")
        if self.log is not None:
            with Path(self.log).open("a", encoding="utf-8"):
                pass

    @classmethod
    def of(cls, split: "Mapping[str, float] | Split | None") -> "Split | None":
        """`{"bls_pipeline": 0.1}` as a split that records nothing.

        Raises:
            ValueError: if it does not name exactly one candidate.
        """
        if split is None or isinstance(split, Split):
            return split
        if len(split) != 1:
            raise ValueError(f"a split has one candidate, such as {{'bls_pipeline': 0.1}}, not {dict(split)}")
        ((candidate, share),) = split.items()
        return cls(candidate, share)

    def takes(self, key: str | None) -> bool:
        """Whether the candidate answers for this key; drawn where it is None."""
        return (self.draw() if key is None else self._number(key)) < self.share

    def _number(self, key: str) -> float:
        digest = hashlib.sha256(f"{self.salt}\0{key}".encode()).digest()
        return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


@dataclass(frozen=True)
class Route:
    """The pipelines of one call, in the order in which they are asked, and where its requests are recorded.

    Attributes:
        names: the pipelines.
        split: None where there is no test.
        key: of the call.
    """

    names: Sequence[str]
    split: Split | None = None
    key: str | None = None

    @classmethod
    def of(cls, names: Sequence[str], split: Split | None, key: str | None) -> "Route":
        """The candidate first or the other first, as the key has it.

        Args:
            names: the pipelines of the client.
            split: the test, if any.
            key: of the call.
        """
        if split is None:
            return cls(names)
        others = [name for name in names if name != split.candidate]
        ordered = [split.candidate, *others] if split.takes(key) else [*others, split.candidate]
        return cls(ordered[: len(names)], split, key)

    @contextmanager
    def recorded(self, n_rows: int) -> Iterator[list[Scores]]:
        """Time a request; the block puts its scores into the list that it is given."""
        if self.split is None or self.split.log is None:
            yield []
            return
        scores: list[Scores] = []
        start, outcome = time.perf_counter(), OK
        try:
            yield scores
            outcome = OK if set(scores[0].answered_by) <= {self.names[0]} else FELL_BACK
        except InvalidRequestError:
            outcome = INVALID
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            milliseconds = 1000 * (time.perf_counter() - start)
            _append(Path(self.split.log), self._line(self.split, n_rows, milliseconds, outcome, scores))

    def _line(
        self, split: Split, n_rows: int, milliseconds: float, outcome: str, scores: Sequence[Scores]
    ) -> dict[str, Any]:
        line: dict[str, Any] = {
            "time": round(time.time(), 3),
            "event": "split",
            "arm": self.names[0],
            "candidate": split.candidate,
            "share": split.share,
            "key": None if self.key is None else hashlib.sha256(f"{split.salt}\0{self.key}".encode()).hexdigest()[:16],
            "rows": n_rows,
            "ms": round(milliseconds, 3),
            "outcome": outcome,
        }
        for given in scores:
            line["scores"] = _digest(given)
            if split.values:
                line["values"] = [round(value, 6) if np.isfinite(value) else None for value in given.values.tolist()]
        return line


def _digest(scores: Scores) -> str:
    rounded = np.round(scores.values.astype(np.float64), DECIMALS) + 0.0  # no negative zero
    return hashlib.sha256(rounded.tobytes()).hexdigest()[:16]


_WRITING = threading.Lock()


def _append(log: Path, line: Mapping[str, Any]) -> None:
    """One write a line, so that processes may share a log. A full disk does not take a client its scores."""
    try:
        with _WRITING, log.open("ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")
    except OSError as error:
        warnings.warn(f"the split is not recorded: {error}", RuntimeWarning, stacklevel=2)
