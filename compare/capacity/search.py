"""Which rate to probe next, for one arm: few probes, most of them near the rate that is looked for.

As in Wu (Efficient Sequential Designs with Binary Data, Journal of the American Statistical Association 80, 1985), once
the rate is between two probes each further one goes to its present estimate, a little to either side in turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from readability_triton.compare.capacity.exceedance import RateInterval, Segment, rate_at
from readability_triton.compare.capacity.slo import Slo

STEP_UP, STEP_DOWN = 1.25, 0.75
AROUND = (1.0, 0.88, 1.06)
"""Of the estimate: a slope needs probes on both sides, and one far above it would not settle while it lasts."""

OVERLOADED = 0.3
"""A probe with so large a share over the bound says only that its rate is too high: the queue grew until it ended."""

NEAR_BELOW, NEAR_ABOVE = 0.5, 1.25
"""Of the highest rate that held and of the lowest that did not: probes beyond are left out of the fit, which holds near
one rate."""

LOWEST = 1 / 32
"""Of the first rate: if the bound does not hold there, it is not looked for further down."""

NEAR_PROBES = 6
"""Probes at the estimate, after which the search is over: each a sixth of what time is left once there is one."""


@dataclass(frozen=True)
class Exceeded:
    """How one probe went: its segments in the order of time; all at one rate."""

    segments: Sequence[Segment]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.segments[0].rate

    @property
    def share(self) -> float:
        """Of requests over the bound."""
        return sum(each.exceeded for each in self.segments) / sum(each.requests for each in self.segments)


@dataclass(frozen=True)
class Found:
    """What is known of the highest rate at which a bound holds.

    Attributes:
        interval: the rate with a 95 % interval; None if it cannot be told from the noise.
        held: highest rate that was probed below the lowest at which the bound did not hold; None if there is none.
        failed: lowest rate at which it did not hold; None if there is none.
    """

    interval: RateInterval | None
    held: float | None
    failed: float | None

    @property
    def is_known(self) -> bool:
        """Whether the rate has an interval with two ends."""
        return self.interval is not None and self.interval.low > 0 and self.interval.high < float("inf")


class Search:
    """Rates to probe, one after the other.

    Args:
        slo: the bound.
        first: the rate to begin with.
    """

    def __init__(self, slo: Slo, first: float) -> None:
        self._slo, self._first = slo, first
        self._probes: list[Exceeded] = []
        self._near = 0

    @property
    def near_left(self) -> int | None:
        """Probes at the estimate that are still to come; None while the rate is not between two probes."""
        return None if None in self._bracket() else NEAR_PROBES - self._near

    def add(self, probe: Exceeded) -> None:
        """Take in what a probe at the last rate found."""
        self._probes.append(probe)

    def next_rate(self) -> float | None:
        """The rate to probe; None if the search is over."""
        if not self._probes:
            return self._first
        held, failed = self._bracket()
        if failed is None:
            return STEP_UP * max(probe.rate for probe in self._probes)
        if self._is_doubtful(failed):
            return failed
        if held is None:
            lower = STEP_DOWN * failed
            return lower if lower >= LOWEST * self._first else None
        if self._near == NEAR_PROBES:
            return None
        interval = self.found().interval
        estimate = (held * failed) ** 0.5 if interval is None else interval.rate
        rate = min(max(estimate, STEP_DOWN * held), STEP_UP * failed) * AROUND[self._near % len(AROUND)]
        self._near += 1
        return rate

    def found(self) -> Found:
        """What the probes so far say."""
        return Found(self._interval(), *self._bracket())

    def _bracket(self) -> tuple[float | None, float | None]:
        """The highest rate that held, and the lowest that failed; noise may have put the first above the second.

        A probe overloaded at a rate that held in another met a machine that was busy with something else.
        """
        held = max((probe.rate for probe in self._probes if probe.share <= self._slo.share), default=None)
        failed = [
            probe.rate
            for probe in self._probes
            if probe.share > self._slo.share and not (held and probe.share > OVERLOADED and probe.rate <= held)
        ]
        return held, min(failed, default=None)

    def _is_doubtful(self, failed: float) -> bool:
        """Whether all that shows the rate to be too high is one probe that was overloaded: a pause may have been it."""
        above = [probe for probe in self._probes if probe.rate >= failed and probe.share > self._slo.share]
        return len(above) == 1 and above[0].share > OVERLOADED

    def _interval(self) -> RateInterval | None:
        held, failed = self._bracket()
        if held is None or failed is None:
            return None
        low, high = NEAR_BELOW * min(held, failed), NEAR_ABOVE * max(held, failed)
        near = [probe for probe in self._probes if low <= probe.rate <= high]
        settled = [probe for probe in near if probe.share <= OVERLOADED or probe.rate == failed]
        return rate_at(self._slo.share, [probe.segments for probe in settled])
