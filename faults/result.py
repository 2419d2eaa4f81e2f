"""What became of the requests around one fault."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from readability_triton.faults.load import Sample
from readability_triton.faults.verdict import Kind

MOST_NOTES = 5


@dataclass(frozen=True)
class Result:
    """One fault's row in the table.

    Attributes:
        fault: its name.
        counts: requests by what their answers were.
        errors: clear errors by type.
        recovery_s: seconds from the fault until every flow was in order, None if that is not asked here.
        notes: anything worth a line.
        broken: promises that were not kept; any of them makes the run fail.
        skipped: why the fault could not be tried here.
        seconds: how long it took, starting servers included.
    """

    fault: str
    counts: Counter[Kind] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    recovery_s: float | None = None
    notes: Sequence[str] = ()
    broken: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether something was wrong, unanswered or not as promised."""
        return bool(self.counts[Kind.WRONG] or self.counts[Kind.UNANSWERED] or self.broken)

    def noting(self, *lines: str) -> "Result":
        """The same with more notes."""
        return replace(self, notes=[*self.notes, *lines])

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self.counts.total()


def account(
    fault: str,
    samples: Sequence[Sample],
    recovery_s: float | None = None,
    broken: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Result:
    """Count what the requests got; what was wrong or unanswered is noted, the first few of it."""
    bad = [sample for sample in samples if sample.verdict.kind in (Kind.WRONG, Kind.UNANSWERED)]
    said = [f"{sample.verdict.kind.value}: {sample.flow}: {sample.verdict.note}" for sample in bad]
    return Result(
        fault,
        Counter(sample.verdict.kind for sample in samples),
        Counter(sample.verdict.note for sample in samples if sample.verdict.kind is Kind.ERROR),
        recovery_s,
        [*notes, *said[:MOST_NOTES]],
        list(broken),
    )
