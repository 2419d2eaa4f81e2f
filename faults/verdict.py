"""Judge what a client got for a request, against the truth."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.scores import Details, Scores
from readability_triton.faults.traffic import Asked
from readability_triton.faults.truth import Truth

TOLERANCE = 1e-5
"""How far a served score may lie from the truth; both pipelines are held to it elsewhere too."""

MAY_DEGRADE = ("deadline", "fallback")


class Kind(Enum):
    """What an answer is."""

    RIGHT = "right"
    DEGRADED = "degraded"
    ERROR = "error"
    WRONG = "wrong"
    UNANSWERED = "unanswered"


class Verdict(NamedTuple):
    """What an answer is, and a word on it: the type of an error, or what is wrong."""

    kind: Kind
    note: str = ""


def judge_scores(asked: Asked, scores: Scores, truth: Truth) -> Verdict:
    """RIGHT, DEGRADED if a row is and says so, or WRONG."""
    if scores.values.shape != asked.rows.shape:
        return Verdict(Kind.WRONG, f"{scores.values.size} scores for {asked.rows.size} texts")
    expected = truth.blended(asked.rows, asked.weights)
    details = scores.details
    degraded = np.zeros(len(expected), bool) if details is None else details.degraded
    if details is not None and degraded.any():
        if asked.flow.policy not in MAY_DEGRADE:
            return Verdict(Kind.WRONG, f"policy {asked.flow.policy} gave a degraded score")
        expected = np.where(degraded, _stand_in(asked, details, truth), expected)
    off = ~(np.abs(scores.values - expected) <= TOLERANCE)
    if off.any():
        return Verdict(Kind.WRONG, _difference(asked, scores, expected, int(np.flatnonzero(off)[0])))
    return Verdict(Kind.DEGRADED if degraded.any() else Kind.RIGHT)


def judge_error(error: BaseException, waited_s: float, timeout_s: float) -> Verdict:
    """ERROR if it is one of the client's own and true, UNANSWERED if the client gave up, else WRONG.

    Args:
        error: what the client raised for a request with which nothing was wrong.
        waited_s: how long after the request was sent.
        timeout_s: how long the client waits.
    """
    if waited_s >= timeout_s:
        return Verdict(Kind.UNANSWERED, f"after {waited_s:.1f} s")
    if isinstance(error, InvalidRequestError):
        return Verdict(Kind.WRONG, f"a good request was refused: {error}")
    if isinstance(error, ReadabilityError):
        return Verdict(Kind.ERROR, type(error).__name__)
    return Verdict(Kind.WRONG, f"an error that is not the client's own: {type(error).__name__}: {error}")


def _stand_in(asked: Asked, details: Details, truth: Truth) -> NDArray[np.float32]:
    """The score of the one model that the row's route names; NaN, which no score equals, if it names no one model."""
    own: dict[str, Callable[[np.intp], np.float32]] = {
        "bert-large": lambda row: truth.bert[row],
        "cuml": lambda row: truth.cuml[row],
    }
    nothing = np.float32(np.nan)
    values = [
        own[route](row) if route in own else nothing for route, row in zip(details.route, asked.rows, strict=True)
    ]
    return np.array(values, dtype=np.float32)


def _difference(asked: Asked, scores: Scores, expected: NDArray[np.float32], row: int) -> str:
    how = f" by {scores.details.route[row]}" if scores.details else ""
    got = f"{scores.values[row]:.6f}{how} for row {row} of {len(expected)}"
    return f"{asked.flow.name}: {got} instead of {expected[row]:.6f}"
