"""Put the tally and the gauges on Triton's Prometheus endpoint."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from readability_triton.bls.tally import COUNTERS, TIMINGS, Kind, Tally

EVERY_S = 2.0
"""A thread of its own reports now and then: each change is a message to the server, 0.14 ms, too dear for the way of a
request. Prometheus asks less often than this."""

QUEUED = Kind("bls_rows_queued", ("stage",), "Rows that wait for a stage")
IN_FLIGHT = Kind("bls_rows_in_flight", ("stage",), "Rows in calls of a stage")
GAUGES = (QUEUED, IN_FLIGHT)

NewFamily = Callable[[Kind, bool], Any]
"""Makes a family of a kind, of counters or, if the flag is set, of gauges, as `pb_utils.MetricFamily` does."""


class Metrics:
    """Families of Triton, fed from a tally and gauges until `close`.

    Args:
        tally: what to report.
        gauges: for each stage, rows that wait for it and rows in its calls.
        new_family: makes a family.
    """

    def __init__(
        self, tally: Tally, gauges: Callable[[], Mapping[str, tuple[int, int]]], new_family: NewFamily
    ) -> None:
        self._tally, self._gauges = tally, gauges
        counters = [*COUNTERS, *(kind for each in TIMINGS for kind in (each.buckets, each.sum, each.count))]
        self._families = {kind: new_family(kind, kind in GAUGES) for kind in (*counters, *GAUGES)}
        self._series: dict[tuple[Kind, tuple[str, ...]], Any] = {}
        self._gauged: dict[tuple[Kind, str], int] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Report the rest and end."""
        self._closing.set()
        self._thread.join()
        self.report()

    def report(self) -> None:
        """Send Triton what has changed since the last report."""
        for (kind, labels), amount in self._tally.drain().items():
            series = self._find(kind, labels)
            if amount:
                series.increment(amount)
        for stage, rows in self._gauges().items():
            for kind, n_rows in zip(GAUGES, rows, strict=True):
                if self._gauged.get((kind, stage)) != n_rows:
                    self._gauged[kind, stage] = n_rows
                    self._find(kind, (stage,)).set(n_rows)

    def _find(self, kind: Kind, labels: tuple[str, ...]) -> Any:
        if (kind, labels) not in self._series:
            named = dict(zip(kind.labels, labels, strict=True))
            self._series[kind, labels] = self._families[kind].Metric(named)
        return self._series[kind, labels]

    def _run(self) -> None:
        while not self._closing.wait(EVERY_S):
            self.report()
