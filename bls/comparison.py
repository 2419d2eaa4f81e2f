"""What a client got, beside what a candidate makes of the same rows."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.batch import Batch, Outcome
from readability_triton.bls.stages import StageError, Stages

MOST_ROWS = 8
"""Rows of one comparison that are listed with their scores, those that differ most."""

GivenUp = Literal["late", "kept-out"]
"""Why a run was given up. `kept-out`: answering requests went first for too long: not the candidate's fault."""

Verdict = Literal["same", "differs", "failed"] | GivenUp
"""Of the candidate."""


@dataclass(frozen=True)
class Source:
    """A policy or a model that can answer a batch.

    Attributes:
        name: as the request parameter has it, such as `deadline?deadline_ms=100`.
        run: answers a batch; raises `StageError` if it cannot.
    """

    name: str
    run: Callable[[Stages, Any], Awaitable[Any]]


class Comparator(Protocol):
    """Compares two answers to the same B rows."""

    def differences(self, given: Any, other: Any) -> NDArray[np.float32]:
        """By row, FP32 [B]; NaN where exactly one of the two has no answer, infinite where they cannot be subtracted.

        Raises:
            StageError: if `other` is no answer to these rows.
        """

    def described(self, batch: Any, row: int, given: Any, other: Any) -> Mapping[str, Any]:
        """A row that differs, for the log."""


@dataclass(frozen=True)
class Shadow:
    """A batch that is answered, and the candidate that it is to be run through after that.

    Attributes:
        batch: B rows.
        answer: where the answer came from; in a paired comparison it runs again, on the candidate's terms.
        candidate: what is compared with it.
        given: the answer.
        answer_s: seconds that it took, from the request's arrival.
        share: of requests that are compared, 0 to 1.
        tolerance: the greatest difference of two scores that are the same.
        timeout_s: seconds that each of the runs may take.
        is_paired: whether the answer's source runs again, so that times are compared on equal terms.
        comparator: of the two answers.
        parameters: request parameters that go to the models that are called; None if these get none, and no timeout.
    """

    batch: Sized
    answer: Source
    candidate: Source
    given: Any
    answer_s: float
    share: float
    tolerance: float
    timeout_s: float
    is_paired: bool
    comparator: Comparator
    parameters: tuple[tuple[str, Any], ...] | None = None


@dataclass(frozen=True)
class Run:
    """One run of a source in shadow.

    Attributes:
        outcome: None if it failed or was late.
        seconds: it took; of a late one, until it was given up.
        error: why there is no outcome.
        given_up: None if it ended by itself.
        differences: of its outcome from the answer, by row, FP32 [B]; empty without one.
    """

    outcome: Any
    seconds: float
    error: str = ""
    given_up: GivenUp | None = None
    differences: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))


@dataclass(frozen=True)
class Comparison:
    """A candidate's run beside the answer.

    Attributes:
        shadow: what was compared.
        verdict: see `Verdict`.
        candidate: the candidate's run.
        again: the answer's source on the same terms; None if it did not run, or did not answer.
        candidate_first: which of the two ran first, drawn for each.
        differences: absolute differences of scores, FP32 [B]; NaN where exactly one of the two has no score. Empty if
            the candidate gave none.
    """

    shadow: Shadow
    verdict: Verdict
    candidate: Run
    again: Run | None = None
    candidate_first: bool = False
    differences: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    @property
    def worst(self) -> float:
        """The greatest difference; infinite if one of the two has no score for a row."""
        return float(_wrong(self.differences).max(initial=0.0))

    def as_dict(self) -> dict[str, Any]:
        """For the log: `docs/watch.md` has the fields. Texts only if the request asked for it."""
        shadow = self.shadow
        line: dict[str, Any] = {
            "event": "shadow",
            "answer": shadow.answer.name,
            "candidate": shadow.candidate.name,
            "verdict": self.verdict,
            "rows": len(shadow.batch),
            "answer_ms": _milliseconds(shadow.answer_s),
            "again_ms": _milliseconds(self.again.seconds) if self.again else None,
            "candidate_ms": _milliseconds(self.candidate.seconds),
            "candidate_first": self.candidate_first,
        }
        if self.candidate.error:
            line["error"] = self.candidate.error
        if len(self.differences):
            line |= {"worst": _number(self.worst), "differing": self._listed()}
        return line

    def _listed(self) -> list[dict[str, Any]]:
        shadow, wrong = self.shadow, _wrong(self.differences)
        rows = [int(row) for row in np.argsort(-wrong, kind="stable") if wrong[row] > shadow.tolerance][:MOST_ROWS]
        described = shadow.comparator.described
        other = self.candidate.outcome
        return [{"row": row, **described(shadow.batch, row, shadow.given, other)} for row in rows]


class ScoreComparator:
    """Of the `Outcome`s of a `Batch`.

    Args:
        keeps_texts: whether the log gets the texts of rows that differ.
    """

    def __init__(self, keeps_texts: bool) -> None:
        self._keeps_texts = keeps_texts

    def differences(self, given: Outcome, other: Any) -> NDArray[np.float32]:
        """Of scores; 0 where neither has one."""
        if not isinstance(other, Outcome) or other.scores.shape != given.scores.shape:
            raise StageError("candidate", f"gave {type(other).__name__}; expected scores {list(given.scores.shape)}")
        gaps = np.abs(given.scores - other.scores)[:, 0]
        gaps[(np.isnan(given.scores) & np.isnan(other.scores))[:, 0]] = 0
        return gaps

    def described(self, batch: Batch, row: int, given: Outcome, other: Outcome) -> Mapping[str, Any]:
        """Both scores and a digest of the text."""
        text = batch.excerpts[row, 0]
        line: dict[str, Any] = {
            "answer": _number(float(given.scores[row, 0])),
            "candidate": _number(float(other.scores[row, 0])),
            "sha256": hashlib.sha256(text).hexdigest()[:16],
        }
        return line | ({"text": text.decode()} if self._keeps_texts else {})


def _wrong(differences: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differences, infinite where only one of the two has an answer."""
    return np.where(np.isnan(differences), np.float32(np.inf), differences)


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 3)


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if np.isfinite(value) else None
