"""Where the time of one request went: its calls of stages, for clients that ask for output SPANS.

Triton's own traces see only `execute` of a model that answers late.
"""

import json
from typing import NamedTuple


class StageCall(NamedTuple):
    """Rows of one request in one call of a stage; times are seconds by the loop's clock, CLOCK_MONOTONIC.

    Attributes:
        stage: the model's name.
        rows: rows of this request in the call.
        queued: when they began to wait for the stage.
        start, end: of the call.
    """

    stage: str
    rows: int
    queued: float
    start: float
    end: float


class Spans(NamedTuple):
    """A request from arrival to answer, by the same clock, with its calls in the order in which they ended."""

    arrived: float
    answered: float
    calls: tuple[StageCall, ...]

    def as_json(self) -> bytes:
        """`{"arrived_ns": …, "answered_ms": …, "calls": [{"stage", "rows", "queued_ms", "start_ms", "end_ms"}, …]}`.

        Milliseconds count from the arrival.
        """
        return json.dumps(
            {
                "arrived_ns": round(self.arrived * 1e9),
                "answered_ms": self._ms(self.answered),
                "calls": [
                    {
                        "stage": call.stage,
                        "rows": call.rows,
                        "queued_ms": self._ms(call.queued),
                        "start_ms": self._ms(call.start),
                        "end_ms": self._ms(call.end),
                    }
                    for call in self.calls
                ],
            }
        ).encode()

    def _ms(self, seconds: float) -> float:
        return round(1000 * (seconds - self.arrived), 4)
