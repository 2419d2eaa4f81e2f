"""What the pipeline has done since somebody last asked: rows by route, reasons, encoder calls saved, time by stage."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.batch import CUML, Outcome


class Kind(NamedTuple):
    """A counter: its name, the label that tells its series apart (None for a single one), and what it counts."""

    name: str
    label: str | None
    description: str


REQUESTS = Kind("bls_requests_total", "policy", "Requests answered with scores")
ROWS = Kind("bls_rows_total", "route", "Rows by the models whose scores went into theirs")
DEGRADED = Kind("bls_degraded_rows_total", "reason", "Rows whose score is not what was asked for")
SAVED = Kind("bls_encoder_rows_saved_total", None, "Rows that needed no answer of bert-large")
ERRORS = Kind("bls_errors_total", "kind", "Requests answered with an error")
STAGE_SECONDS = Kind("bls_stage_seconds_total", "stage", "Time spent waiting for a stage's answer, in seconds")
STAGE_CALLS = Kind("bls_stage_calls_total", "stage", "Calls of a stage")
STAGE_FAILURES = Kind("bls_stage_failures_total", "stage", "Calls of a stage that failed or came too late")
KINDS = (REQUESTS, ROWS, DEGRADED, SAVED, ERRORS, STAGE_SECONDS, STAGE_CALLS, STAGE_FAILURES)

Counts = Mapping[tuple[Kind, str], float]


class Tally:
    """Counts that several threads may add to. What is added is only noted down; it is counted when it is drained."""

    def __init__(self) -> None:
        self._notes: deque[Iterable[tuple[Kind, str, float]]] = deque()

    def add(self, kind: Kind, label: str = "", amount: float = 1) -> None:
        """Count one more, or `amount` more."""
        self._notes.append([(kind, label, amount)])

    def add_outcome(self, policy: str, outcome: Outcome) -> None:
        """Count a request that got this answer."""
        # Of the scores only this is kept: they may lie in memory that Triton shares with the models' processes.
        self._notes.append(_counts_of(policy, outcome.route, outcome.reasons, np.isnan(outcome.bert)))

    def drain(self) -> Counts:
        """All counts, which begin anew."""
        counts: dict[tuple[Kind, str], float] = defaultdict(float)
        for _ in range(len(self._notes)):  # those that come meanwhile are for the next time
            for kind, label, amount in self._notes.popleft():
                counts[kind, label] += amount
        return counts


def _counts_of(
    policy: str, route: NDArray[Any], reasons: NDArray[Any], without_bert: NDArray[np.bool_]
) -> Iterator[tuple[Kind, str, float]]:
    yield REQUESTS, policy, 1
    for models, n_rows in Counter(route.ravel()).items():
        yield ROWS, models.decode(), n_rows
    for reason, n_rows in Counter(filter(None, reasons.ravel())).items():
        yield DEGRADED, reason, n_rows
    if saved := int((without_bert & (route == CUML.encode()) & (reasons == "")).sum()):
        yield SAVED, "", saved
