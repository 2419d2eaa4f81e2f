"""Where the time goes inside a model that answers late: `bls_pipeline`'s own metrics of its stages.

Triton's statistics see of such a model only the moment in which it accepts a request (Triton 24.10).
"""

import asyncio
import re
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple

REPORTED_WITHIN_S = 2.5
"""`bls_pipeline` reports to Triton's metrics every two seconds."""

SCRAPE_TIMEOUT_S = 5.0
_SAMPLE = re.compile(r'^(bls_\w+)\{stage="([^"]+)"\} ([0-9.e+-]+)$', re.MULTILINE)
_NAMES = (
    "bls_stage_calls_total",
    "bls_stage_rows_total",
    "bls_queue_seconds_count",
    "bls_queue_seconds_sum",
    "bls_stage_seconds_sum",
)


class StageTimes(NamedTuple):
    """What the calls of one stage took, over all requests.

    Attributes:
        calls: of the stage.
        rows: in these calls.
        queued: slices of requests that waited for a call.
        queue_s: seconds that these waited, altogether.
        stage_s: seconds that the calls took, altogether.
    """

    calls: float = 0.0
    rows: float = 0.0
    queued: float = 0.0
    queue_s: float = 0.0
    stage_s: float = 0.0

    @property
    def rows_per_call(self) -> float:
        """Rows in a call on average."""
        return self.rows / self.calls if self.calls else 0.0

    @property
    def queue_ms(self) -> float:
        """Milliseconds in the queue on average."""
        return 1000 * self.queue_s / self.queued if self.queued else 0.0

    @property
    def call_ms(self) -> float:
        """Milliseconds of a call on average."""
        return 1000 * self.stage_s / self.calls if self.calls else 0.0


async def read(metrics_url: str) -> dict[str, StageTimes]:
    """Every stage since its model was loaded, by name; empty for a server without such metrics.

    Raises:
        OSError: if the endpoint does not answer.
    """
    return parse(await asyncio.to_thread(_scrape, metrics_url))


def parse(text: str) -> dict[str, StageTimes]:
    """The stages in a page of metrics in Prometheus' text format."""
    found: dict[str, dict[str, float]] = {}
    for name, stage, value in _SAMPLE.findall(text):
        found.setdefault(stage, {})[name] = float(value)
    return {stage: StageTimes(*(values.get(name, 0.0) for name in _NAMES)) for stage, values in found.items()}


def between(before: Mapping[str, StageTimes], after: Mapping[str, StageTimes]) -> dict[str, StageTimes]:
    """What the stages that were called did from one reading to the next."""
    nothing = StageTimes()
    spent = {
        stage: StageTimes(*(late - early for early, late in zip(before.get(stage, nothing), times, strict=True)))
        for stage, times in after.items()
    }
    return {stage: times for stage, times in spent.items() if times.calls > 0}


def _scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SCRAPE_TIMEOUT_S) as answer:  # noqa: S310  # the address of --metrics-url
        return str(answer.read().decode())
