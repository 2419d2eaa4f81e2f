"""Do the arms give the same answers? Speed is worth nothing where they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from readability_triton.compare.workload import Outputs


class Answers:
    """What one arm answered to each request: the first time, and how far later answers were from that."""

    def __init__(self) -> None:
        self.first: dict[int, Outputs] = {}
        self.unsteadiness = 0.0

    def note(self, request: int, outputs: Outputs) -> None:
        """Keep an answer, or compare it with the one that was kept for the same request."""
        known = self.first.setdefault(request, outputs)
        if known is not outputs:
            self.unsteadiness = max(self.unsteadiness, difference(known, outputs))


@dataclass(frozen=True)
class Agreement:
    """How far two arms' answers lie apart.

    Attributes:
        compared: requests that both answered.
        largest: difference of any two numbers that should be equal; infinite where shapes, strings or outputs differ.
        where: the request with the largest difference, None if nothing was compared.
        tolerance: what is allowed.
    """

    compared: int
    largest: float
    where: int | None
    tolerance: float

    @property
    def same(self) -> bool:
        """Whether all answers are the same, up to the tolerance; not where there was nothing to compare."""
        return self.compared > 0 and self.largest <= self.tolerance

    def in_words(self, arms: str) -> str:
        """A sentence; `arms` are those that do not give the same answers."""
        if not self.compared:
            return "No answers could be compared: whether the two agree is not known."
        if self.same:
            return (
                f"Both give the same answers to {self.compared} requests, to {max(self.largest, self.tolerance):.0e}."
            )
        return (
            f"WRONG: {arms} do not give the same answers. The largest difference is {self.largest:.2g}, at request "
            f"{self.where}; {self.tolerance:.0e} is allowed."
        )


def agreement(one: Answers, other: Answers, tolerance: float) -> Agreement:
    """Compare the answers to the requests that both arms answered, and each arm's with its own earlier ones."""
    both = sorted(one.first.keys() & other.first.keys())
    apart = {request: difference(one.first[request], other.first[request]) for request in both}
    where = max(apart, key=lambda request: apart[request], default=None)
    own = max(one.unsteadiness, other.unsteadiness)
    return Agreement(len(both), max([own, *apart.values()]), where, tolerance)


def difference(one: Outputs, other: Outputs) -> float:
    """The largest difference between outputs of the same name, or between the only ones if names differ."""
    if len(one) == len(other) == 1:
        pairs: Sequence[tuple[np.ndarray, np.ndarray]] = [(*one.values(), *other.values())]  # type: ignore[list-item]
    elif shared := _shared(one, other):
        pairs = [(one[name], other[name]) for name in shared]
    else:
        return float("inf")
    return max(_apart(first, second) for first, second in pairs)


def _shared(one: Outputs, other: Mapping[str, np.ndarray]) -> list[str]:
    return sorted(one.keys() & other.keys())


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    if first.shape != second.shape:
        return float("inf")
    if first.dtype.kind not in "biuf" or second.dtype.kind not in "biuf":
        return 0.0 if np.array_equal(first, second) else float("inf")
    if not first.size:
        return 0.0
    one, other = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        gap = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other))
    return float("inf") if np.isnan(gap).any() else float(gap.max())
