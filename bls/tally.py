"""What the pipeline has done since somebody last asked: rows by route, reasons, encoder calls saved, time by stage."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bls.batch import CUML, Outcome


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
    """Counts that several threads may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Kind, str]] = Counter()

    def add(self, kind: Kind, label: str = "", amount: float = 1) -> None:
        """Count one more, or `amount` more."""
        with self._lock:
            self._counts[kind, label] += amount  # type: ignore[assignment]  # seconds are no integers

    def add_outcome(self, policy: str, outcome: Outcome) -> None:
        """Count a request that got this answer."""
        self.add(REQUESTS, policy)
        for route, n_rows in Counter(outcome.route.ravel()).items():
            self.add(ROWS, route.decode(), n_rows)
        for reason, n_rows in Counter(filter(None, outcome.reasons.ravel())).items():
            self.add(DEGRADED, reason, n_rows)
        if saved := int((np.isnan(outcome.bert) & (outcome.route == CUML.encode()) & (outcome.reasons == "")).sum()):
            self.add(SAVED, amount=saved)

    def drain(self) -> Counts:
        """All counts, which begin anew."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts
