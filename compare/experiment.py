"""Run a comparison: both arms under each load, in blocks, in random order within each pair of blocks."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import numpy as np
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from readability_triton.compare import stage_times
from readability_triton.compare.answers import Answers
from readability_triton.compare.arm import HYBRID, Arm
from readability_triton.compare.breakdown import Breakdown, between, snapshot
from readability_triton.compare.client_process import (
    BesideJob,
    ClientProcess,
    ClosedJob,
    Job,
    OpenJob,
)
from readability_triton.compare.figures import latencies, throughput
from readability_triton.compare.load import Beside, Block, Closed, Load, Open, poisson_schedule
from readability_triton.compare.messages import read_outputs
from readability_triton.compare.stage_times import StageTimes
from readability_triton.compare.stopping import ServerLostError, check_arms, kept_if_stopped

FEWEST_BLOCKS = 10
BLOCKS = 25
LONGEST_BLOCK_S = 1.0
LEAST_ARRIVALS = 10
AUTO_RATE = 0.5
"""An open loop's rate, unless one is given, as a share of what the slower arm reached in the closed loops."""

STEADY_ROUNDS = 3
STEADY_WITHIN = 0.1
ROUND_S = 0.5
COUNTED_AFTER_S, COUNTED_WITHIN_S = 0.01, 1.0
"""Triton counts a request after it has sent the answer: mostly at once, on a busy machine later."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
BESIDE_A_BLOCK = 1
"""Requests of the other client in a block of a load `Beside`, whose end is the end of the block."""

MakeJob = Callable[[int], Job]
"""A block, as a job for the arm of a number."""

BURSTS = 4
"""A block of a closed loop has so many requests for each caller at least: it begins with a burst of one for each, and
ends when the first callers find none; what lies between counts."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        concurrencies: closed loops, in this order.
        rates: open loops, in requests a second; None for one at half of what the slower arm reached before.
        seconds: of measuring, for each load, over both arms.
        warm_up_seconds: the longest warm-up before each load.
        beside: texts a request of another client that runs along with each closed loop; 0 for none. The callers of
            `Experiment` for it are then needed.
        seed: of the order of the arms, of the requests and of the arrivals.
    """

    concurrencies: Sequence[int]
    rates: Sequence[float | None]
    seconds: float
    warm_up_seconds: float
    seed: int = 0
    beside: int = 0


@dataclass
class Measured:
    """Both arms under one load.

    Attributes:
        load: the load.
        steady: whether the warm-up ended because latencies had settled.
        warm_up_seconds: how long it took.
        blocks: of each arm; those of the same number ran one after the other with the same requests.
        spent: what each arm's blocks cost the models of the server.
        stages: what the stages of `bls_pipeline` did while both arms ran, by its own metrics; empty without any.
    """

    load: Load
    steady: bool
    warm_up_seconds: float
    blocks: tuple[list[Block], list[Block]] = field(default_factory=lambda: ([], []))
    spent: tuple[list[Breakdown], list[Breakdown]] = field(default_factory=lambda: ([], []))
    stages: dict[str, StageTimes] = field(default_factory=dict)

    def answered(self) -> tuple[list[Block], list[Block]]:
        """The pairs of blocks in which each arm answered a request at least; the others have no latency to compare."""
        pairs = [pair for pair in zip(*self.blocks, strict=True) if all(block.counted for block in pair)]
        return [first for first, _ in pairs], [second for _, second in pairs]


@dataclass
class Outcome:
    """A comparison, as far as it came.

    Attributes:
        arms: what was compared.
        measured: one entry a load.
        answers: what each arm answered.
        incomplete: why it ended early; None if it did not.
    """

    arms: tuple[Arm, Arm]
    measured: list[Measured] = field(default_factory=list)
    answers: tuple[Answers, Answers] = field(default_factory=lambda: (Answers(), Answers()))
    incomplete: str | None = None


class Experiment:
    """One comparison.

    Args:
        arms: what to compare.
        sender: sends requests: its targets are the two arms, then, for a load `Beside`, the two arms with the other
            client's requests.
        n_requests: size of the workload that the sender knows.
        client: a connection for statistics and health.
        progress: how to show what is being done.
        n_beside: requests that it knows of the other client of a load `Beside`.
        metrics_url: of the server's metrics, for the stages of `bls_pipeline`; None to leave them out.
    """

    def __init__(
        self,
        arms: tuple[Arm, Arm],
        sender: ClientProcess,
        n_requests: int,
        client: InferenceServerClient,
        progress: Progress,
        n_beside: int = 1,
        metrics_url: str | None = None,
    ) -> None:
        self._sender, self._n_requests, self._n_beside = sender, n_requests, n_beside
        self._client, self._progress, self._metrics_url = client, progress, metrics_url
        self.outcome = Outcome(arms)

    async def run(self, plan: Plan) -> Outcome:
        """Measure every load. If cancelled, or if server or client process is lost, the outcome so far, incomplete.

        Raises:
            ReadabilityError: if an arm does not answer the first request.
        """
        rng = random.Random(plan.seed)
        await check_arms(self._sender, 2)
        with kept_if_stopped(self.outcome):
            for load in self._loads(plan):
                await self._measure(load, plan, rng)
        return self.outcome

    def _loads(self, plan: Plan) -> Iterator[Load]:
        for concurrency in plan.concurrencies:
            yield Beside(concurrency, plan.beside) if plan.beside else Closed(concurrency)
        for rate in plan.rates:
            yield Open(self._auto_rate() if rate is None else rate)

    def _auto_rate(self) -> float:
        most = [max(throughput(each.blocks[arm]) for each in self.outcome.measured) for arm in range(2)]
        return AUTO_RATE * min(most)

    async def _measure(self, load: Load, plan: Plan, rng: random.Random) -> None:
        requests = _in_random_order(self._n_requests, rng)
        block_seconds = min(LONGEST_BLOCK_S, plan.seconds / (2 * BLOCKS))
        measured, slower = await self._warm_up(load, plan.warm_up_seconds, requests, rng)
        self.outcome.measured.append(measured)
        stages_before = await self._stages()
        started = time.monotonic()
        shown = 0
        with self._progress(str(load), round(plan.seconds)) as on_progress:
            while len(measured.blocks[0]) < FEWEST_BLOCKS or time.monotonic() - started < plan.seconds:
                run = self._block(load, block_seconds, slower, requests, rng.randrange(2**32))
                pair: list[tuple[Block, Breakdown]] = [(Block([], 0, 0.0, 0.0), {})] * 2
                for arm in rng.sample(range(2), 2):
                    pair[arm] = await self._run_block(run, arm)
                for arm, (block, spent) in enumerate(pair):
                    measured.blocks[arm].append(block)
                    measured.spent[arm].append(spent)
                passed = min(round(plan.seconds), round(time.monotonic() - started))
                on_progress(passed - shown)
                shown = passed
        measured.stages = stage_times.between(stages_before, await self._stages())

    async def _stages(self) -> dict[str, StageTimes]:
        """The stages of `bls_pipeline` by its own metrics, when it has reported what it did; empty without any."""
        if self._metrics_url is None or not await stage_times.read(self._metrics_url):
            return {}
        await asyncio.sleep(stage_times.REPORTED_WITHIN_S)
        return await stage_times.read(self._metrics_url)

    async def _warm_up(
        self, load: Load, longest: float, requests: Iterator[int], rng: random.Random
    ) -> tuple[Measured, float]:
        """Rounds of the same requests until the last three medians of each arm are close; the slower arm's throughput.

        The first round, of few requests, sets how many the others send.
        """
        started = time.monotonic()
        medians: tuple[list[float], list[float]] = ([], [])
        rate = await self._round(self._block(load, 0.0, 0.0, requests, 0), ([], []))
        run = self._block(load, ROUND_S, rate, requests, rng.randrange(2**32))
        while True:
            rate = await self._round(run, medians)
            seconds = time.monotonic() - started
            steady = all(_steady(each) for each in medians)
            if steady or seconds > longest:
                return Measured(load, steady, seconds), rate

    async def _round(self, run: MakeJob, medians: tuple[list[float], list[float]]) -> float:
        """Both arms once; their median latencies are added, and the lesser throughput is given back."""
        blocks = [(await self._run_block(run, arm))[0] for arm in range(2)]
        for arm, block in enumerate(blocks):
            seconds = latencies([block])
            medians[arm].append(float(np.median(seconds)) if len(seconds) else np.nan)
        return min(block.throughput for block in blocks)

    def _block(self, load: Load, seconds: float, rate: float, requests: Iterator[int], seed: int) -> MakeJob:
        """A block that each arm can be put through: the same requests, in an open loop at the same times."""
        if isinstance(load, Open):
            schedule = poisson_schedule(load.rate, max(seconds, LEAST_ARRIVALS / load.rate), requests, seed)
            return lambda arm: OpenJob(arm, schedule)
        if isinstance(load, Beside):
            first = list(itertools.islice(requests, self._n_requests))
            beside = [number % self._n_beside for number in range(BESIDE_A_BLOCK)]
            return lambda arm: BesideJob(arm, first, load.concurrency, arm + 2, beside, load.rows)
        outside = 2 * (load.concurrency - 1)
        n_requests = max(BURSTS * load.concurrency, round(rate * seconds) + outside)
        chosen = list(itertools.islice(requests, n_requests))
        return lambda arm: ClosedJob(arm, chosen, load.concurrency)

    async def _run_block(self, make_job: MakeJob, arm: int) -> tuple[Block, Breakdown]:
        try:
            before = await snapshot(self._client)
            block = await self._sender.run(make_job(arm))
            if any(sample.error for sample in block.samples) and not await self._client.is_server_live():
                raise ServerLostError("the server does not say that it is live any more")
            spent = await self._spent(before, self.outcome.arms[arm].model, block.n_answered)
        except InferenceServerException as error:
            raise ServerLostError(f"the server was lost: {error.message()}") from error
        for request, answer in block.answers:
            self.outcome.answers[arm].note(request, read_outputs(answer))
        return replace(block, answers=()), spent

    async def _spent(self, before: Breakdown, model: str, n_answered: int) -> Breakdown:
        """What the server has done since `before`, once it has counted the requests that `model` answered."""
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while True:
            await asyncio.sleep(COUNTED_AFTER_S)
            spent = between(before, await snapshot(self._client))
            counted = spent[model].requests if model in spent else 0
            if model == HYBRID or counted >= n_answered or time.monotonic() > deadline:
                return spent


def _in_random_order(n_requests: int, rng: random.Random) -> Iterator[int]:
    """All requests in random order, then in another, and so on."""
    while True:
        yield from rng.sample(range(n_requests), n_requests)


def _steady(medians: Sequence[float]) -> bool:
    last = np.array(medians[-STEADY_ROUNDS:])
    return len(last) == STEADY_ROUNDS and bool(np.ptp(last) <= STEADY_WITHIN * np.median(last))
