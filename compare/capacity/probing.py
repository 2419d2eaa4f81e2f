"""Probe arms in turn until the highest rate of each at which the bound holds is known, or time is up."""

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy import stats
from tritonclient.utils import InferenceServerException

from readability_triton.compare.answers import Answers
from readability_triton.compare.arm import Arm
from readability_triton.compare.capacity.probe import LEAD, Mix, Probe, read_probe, schedule
from readability_triton.compare.capacity.search import Found, Search
from readability_triton.compare.capacity.slo import Slo
from readability_triton.compare.client_process import ClosedJob, Job, OpenJob
from readability_triton.compare.experiment import Progress
from readability_triton.compare.load import Block
from readability_triton.compare.messages import read_outputs
from readability_triton.compare.stopping import ServerLostError, check_arms, kept_if_stopped

WARM_UP, LIGHT = 10, 40
"""Requests one after the other: first some that are not looked at, then those that show whether the bound can hold."""

SATURATION, SATURATED = 32, 4
"""Requests in flight that an arm's throughput is taken at, and how many for each place."""

FIRST = 0.5
"""Of that throughput: the rate of the first probe."""

SURELY = 1e-3
BRACKET_SHARE = 1 / 12
"""Of an arm's time, what a probe that only brackets the rate takes at most."""

FEWEST_EXCEEDED, ENOUGH_EXCEEDED = 2, 10
"""A bracketing probe expects so many requests over the bound where it just holds: at least, and at most."""

QUEUE = 4
"""Requests in flight at most, in those that Little's law gives for the bound: one that finds more has no chance."""

GIVE_UP = 0.5
"""A probe ends early when so large a share of its requests could not be sent."""


class Sender(Protocol):
    """What puts load on the server: `readability_triton.compare.client_process.ClientProcess`."""

    async def check(self, target: int) -> None:
        """Send a target's first request."""

    async def run(self, job: Job) -> Block:
        """Do a job."""


@dataclass
class ArmProbed:
    """One arm.

    Attributes:
        arm: what was called.
        light: median latency of one request at a time, in seconds; nan if none was answered.
        holds_lightly: whether the bound may hold for one request at a time.
        throughput: answered requests a second with many in flight.
        probes: in the order in which they ran.
        found: what they say.
        answers: what the arm answered.
    """

    arm: Arm
    light: float = math.nan
    holds_lightly: bool = True
    throughput: float = 0.0
    probes: list[Probe] = field(default_factory=list)
    found: Found = field(default_factory=lambda: Found(None, None, None))
    answers: Answers = field(default_factory=Answers)


@dataclass
class Outcome:
    """All arms, and why it ended early; None if it did not."""

    slo: Slo
    arms: list[ArmProbed]
    incomplete: str | None = None


class Probing:
    """Find the capacity of each arm.

    Args:
        arms: what to call; the sender's targets, in this order.
        sender: puts load on the server.
        mix: the requests that it knows.
        slo: the bound.
        seconds: of probing, over all arms.
        is_live: whether the server is there.
        progress: how to show what is being done.
        seed: of the order of arms, of requests and arrivals.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        sender: Sender,
        mix: Mix,
        slo: Slo,
        seconds: float,
        is_live: Callable[[], Awaitable[bool]],
        progress: Progress,
        seed: int = 0,
    ) -> None:
        self._sender, self._mix, self._slo, self._is_live, self._progress = sender, mix, slo, is_live, progress
        self._seconds = seconds
        self._rng = np.random.default_rng(seed)
        self.outcome = Outcome(slo, [ArmProbed(arm) for arm in arms])

    async def run(self) -> Outcome:
        """Probe. If cancelled, or if the server or the client process is lost, the outcome so far, marked incomplete.

        Raises:
            ReadabilityError: if an arm does not answer the first request.
        """
        await check_arms(self._sender, len(self.outcome.arms))
        with kept_if_stopped(self.outcome):
            searches = [await self._begin(number) for number in range(len(self.outcome.arms))]
            await self._search(searches)
        return self.outcome

    async def _begin(self, number: int) -> Search | None:
        """One request at a time, then many: None if the bound does not hold even for the first."""
        arm = self.outcome.arms[number]
        requests = self._mix.draw(self._rng)
        with self._progress(f"{arm.arm.label}: warm-up", 3) as on_progress:
            await self._closed(number, requests, WARM_UP, 1)
            on_progress(1)
            light = await self._closed(number, requests, LIGHT, 1)
            on_progress(1)
            counted = [sample for sample in light.samples if not self._mix.is_bulk(sample.request)]
            answered = [sample.latency for sample in counted if sample.error is None]
            arm.light = float(np.median(answered)) if answered else math.nan
            over = len(counted) - sum(seconds <= self._slo.seconds for seconds in answered)
            if counted and stats.binomtest(over, len(counted), self._slo.share, "greater").pvalue < SURELY:
                arm.holds_lightly = False
                return None
            block = await self._closed(number, requests, SATURATION * SATURATED, SATURATION)
            on_progress(1)
        arm.throughput = block.throughput
        return Search(self._slo, FIRST * max(arm.throughput, 1 / self._seconds))

    async def _closed(self, number: int, requests: Iterator[int], n_requests: int, concurrency: int) -> Block:
        chosen = [next(requests) for _ in range(n_requests)]
        return await self._run(number, ClosedJob(number, chosen, concurrency))

    async def _search(self, searches: Sequence[Search | None]) -> None:
        left = {number: self._seconds / len(searches) for number, search in enumerate(searches) if search is not None}
        with self._progress(f"probing, {self._slo}", round(sum(left.values()))) as on_progress:
            while left:
                for number in self._rng.permutation(list(left)).tolist():
                    search = searches[number]
                    taken = await self._probe(number, search, left[number]) if search is not None else None
                    if taken is None:
                        on_progress(round(left.pop(number)))
                    else:
                        left[number] -= taken
                        on_progress(round(taken))

    async def _probe(self, number: int, search: Search, left: float) -> float | None:
        """One probe of an arm; the seconds that it took, None if the search is over."""
        rate = search.next_rate()
        if rate is None or (n_counted := self._n_counted(search, rate, left)) is None:
            return None
        begin, due = schedule(rate, n_counted, self._mix, self._rng)
        in_flight = max(64, math.ceil(QUEUE * rate * self._slo.seconds))
        job = OpenJob(number, due, in_flight, max(20, round(GIVE_UP * len(due))))
        probe = read_probe(await self._run(number, job), rate, begin, self._mix, self._slo)
        search.add(probe.exceeded)
        arm = self.outcome.arms[number]
        arm.probes.append(probe)
        arm.found = search.found()
        return probe.seconds

    def _n_counted(self, search: Search, rate: float, left: float) -> int | None:
        """How many requests count: what brackets the rate, or an equal part of the time left; None if that is short."""
        counting = (1 - self._mix.bulk_share) * rate / (1 + LEAD)  # requests a second that count
        fewest = math.ceil(FEWEST_EXCEEDED / self._slo.share)
        if counting * left < fewest:
            return None
        near_left = search.near_left
        if near_left is not None:
            wanted = counting * left / (near_left + 1)  # this one is no longer among those left
        else:
            arms = len(self.outcome.arms)
            wanted = min(ENOUGH_EXCEEDED / self._slo.share, counting * self._seconds / arms * BRACKET_SHARE)
        return max(fewest, math.ceil(wanted))

    async def _run(self, number: int, job: Job) -> Block:
        block = await self._sender.run(job)
        if any(sample.error for sample in block.samples):
            try:
                if not await self._is_live():
                    raise ServerLostError("the server does not say that it is live any more")
            except InferenceServerException as error:
                raise ServerLostError(f"the server was lost: {error.message()}") from error
        for request, answer in block.answers:
            self.outcome.arms[number].answers.note(request, read_outputs(answer))
        return block
