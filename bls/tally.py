"""What the pipeline has done since the last report: requests, rows, stage calls, and times as histograms."""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from readability_triton.bls.batch import Outcome
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError


class Kind(NamedTuple):
    """A counter: its name, the labels of its series, and what it counts."""

    name: str
    labels: tuple[str, ...]
    description: str


BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of a histogram's buckets, without the last, which is infinite."""


@dataclass(frozen=True)
class Timing:
    """A histogram of times, or of another unit, as counters that Prometheus' `histogram_quantile` reads.

    Triton's own histograms take one message to the server for each observation, 0.14 ms; these take one for each
    series and report.
    """

    name: str
    labels: tuple[str, ...]
    description: str
    bounds: tuple[float, ...] = BOUNDS_S
    unit: str = "seconds"

    @property
    def buckets(self) -> Kind:
        """Counts by upper bound, cumulative."""
        return Kind(f"{self.name}_bucket", (*self.labels, "le"), f"{self.description}, by upper bound in {self.unit}")

    @property
    def sum(self) -> Kind:
        """The sum of what was observed."""
        return Kind(f"{self.name}_sum", self.labels, f"{self.description}, {self.unit} altogether")

    @property
    def count(self) -> Kind:
        """Observations."""
        return Kind(f"{self.name}_count", self.labels, f"{self.description}, how many")


REQUESTS = Kind("bls_requests_total", ("policy",), "Requests answered with scores")
OUTCOMES = Kind("bls_outcomes_total", ("outcome",), "Requests by outcome")
ROWS = Kind("bls_rows_total", ("route",), "Rows by the models whose scores went into theirs")
DEGRADED = Kind("bls_degraded_rows_total", ("reason",), "Rows whose score is not what was asked for")
ERRORS = Kind("bls_errors_total", ("kind",), "Requests answered with an error")
STAGE_CALLS = Kind("bls_stage_calls_total", ("stage",), "Calls of a stage")
STAGE_FAILURES = Kind("bls_stage_failures_total", ("stage",), "Calls of a stage that failed")
STAGE_ROWS = Kind("bls_stage_rows_total", ("stage",), "Rows computed by a stage")
SHADOWS = Kind("bls_shadows_total", ("outcome",), "Batches compared with a candidate, or dropped, by outcome")
COUNTERS = (REQUESTS, OUTCOMES, ROWS, DEGRADED, ERRORS, STAGE_CALLS, STAGE_FAILURES, STAGE_ROWS, SHADOWS)

QUEUE_TIME = Timing("bls_queue_seconds", ("stage",), "Time of rows in a stage's queue")
STAGE_TIME = Timing("bls_stage_seconds", ("stage",), "Time of a call in a stage")
REQUEST_TIME = Timing("bls_request_seconds", (), "Time of a request from arrival to answer")
SHADOW_TIME = Timing("bls_shadow_seconds", ("run",), "Time of a run in shadow")
SHADOW_RATIO = Timing(
    "bls_shadow_time_ratio",
    (),
    "Time of the candidate over that of the answer's source, on the same terms",
    (0.5, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 5.0),
    "ratio",
)
SHADOW_DIFFERENCE = Timing(
    "bls_shadow_difference",
    (),
    "Difference of a row's score from the candidate's",
    (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0),
    "score",
)
TIMINGS = (QUEUE_TIME, STAGE_TIME, REQUEST_TIME, SHADOW_TIME, SHADOW_RATIO, SHADOW_DIFFERENCE)

Counts = Mapping[tuple[Kind, tuple[str, ...]], float]
_Count = tuple[Kind, tuple[str, ...], float]


class Tally:
    """Counts that several threads may add to. What is added is only noted; it is counted when it is drained."""

    def __init__(self) -> None:
        self._notes: deque[Iterable[_Count]] = deque()
        self._times: deque[tuple[Timing, tuple[str, ...], float]] = deque()

    def add(self, kind: Kind, label: str = "", amount: float = 1) -> None:
        """Count one more, or `amount` more."""
        self._notes.append([(kind, (label,) if kind.labels else (), amount)])

    def observe(self, timing: Timing, label: str, seconds: float) -> None:
        """Note a time."""
        self._times.append((timing, (label,) if timing.labels else (), seconds))

    def add_outcome(self, policy: str, outcome: Outcome) -> None:
        """Count a request that got this answer."""
        self._notes.append(_counts_of(policy, outcome.route, outcome.reasons))

    def drain(self) -> Counts:
        """All counts since the last call."""
        counts: dict[tuple[Kind, tuple[str, ...]], float] = defaultdict(float)
        for _ in range(len(self._notes)):  # those that come meanwhile are for the next time
            for kind, labels, amount in self._notes.popleft():
                counts[kind, labels] += amount
        times: dict[tuple[Timing, tuple[str, ...]], list[float]] = defaultdict(list)
        for _ in range(len(self._times)):
            timing, labels, seconds = self._times.popleft()
            times[timing, labels].append(seconds)
        for (timing, labels), observed in times.items():
            for kind, series, amount in _histogram(timing, labels, observed):
                counts[kind, series] += amount
        return counts


def _histogram(timing: Timing, labels: tuple[str, ...], observed: list[float]) -> Iterator[_Count]:
    first_bucket = Counter(bisect_left(timing.bounds, value) for value in observed)
    below = 0
    for bucket, bound in enumerate([*(f"{bound:g}" for bound in timing.bounds), "+Inf"]):
        below += first_bucket[bucket]
        yield timing.buckets, (*labels, bound), below
    yield timing.sum, labels, sum(observed)
    yield timing.count, labels, len(observed)


def _counts_of(policy: str, route: NDArray[Any], reasons: NDArray[Any]) -> Iterator[_Count]:
    yield REQUESTS, (policy,), 1
    for models, n_rows in Counter(route.ravel()).items():
        yield ROWS, (models.decode(),), n_rows
    for reason, n_rows in Counter(filter(None, reasons.ravel())).items():
        yield DEGRADED, (reason,), n_rows


def outcome_name(answer: Outcome | Exception) -> str:
    """Of a request, for `OUTCOMES`: ok, degraded, invalid, busy, late, cancelled or failed."""
    if isinstance(answer, Outcome):
        return "degraded" if (answer.reasons != "").any() else "ok"
    named = {CancelledRequestError: "cancelled", StageBusyError: "busy", StageLateError: "late", StageError: "failed"}
    return next((name for kind, name in named.items() if isinstance(answer, kind)), "invalid")
