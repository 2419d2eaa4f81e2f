"""Put the tally on Triton's Prometheus endpoint."""

import threading
from collections.abc import Callable
from typing import Any

from readability_triton.bls.tally import KINDS, Kind, Tally

EVERY_S = 2.0
"""Triton is told by a thread of its own, now and then: each increment is a message to the server, too dear for the way
of a request. Prometheus asks less often than this."""


class Metrics:
    """Counter families of Triton, fed from a tally until `close`.

    Args:
        tally: what to report.
        new_family: makes a counter family of a name and a description, as `pb_utils.MetricFamily` does.
    """

    def __init__(self, tally: Tally, new_family: Callable[[str, str], Any]) -> None:
        self._tally = tally
        self._families = {kind: new_family(kind.name, kind.description) for kind in KINDS}
        self._series: dict[tuple[Kind, str], Any] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Report the rest and end."""
        self._closing.set()
        self._thread.join()
        self.report()

    def report(self) -> None:
        """Tell Triton what has been counted since the last time."""
        for (kind, label), amount in self._tally.drain().items():
            if (kind, label) not in self._series:
                self._series[kind, label] = self._families[kind].Metric({kind.label: label} if kind.label else {})
            if amount:
                self._series[kind, label].increment(amount)

    def _run(self) -> None:
        while not self._closing.wait(EVERY_S):
            self.report()
