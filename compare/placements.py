"""Latency and throughput of pipelines at every batch size, where their models can be placed."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from readability_triton.compare.callers import Caller
from readability_triton.compare.load import run_closed

BATCH_SIZES = tuple(2**power for power in range(10))
WARM_UP_REQUESTS = 2


@dataclass(frozen=True)
class AtBatchSize:
    """One pipeline at one batch size.

    Attributes:
        batch: texts a request.
        latency_ms: the median over requests, in milliseconds.
        per_second: texts a second: the median over rounds.
        rounds: how many there were.
    """

    batch: int
    latency_ms: float
    per_second: float
    rounds: int


async def measure(
    callers: Mapping[str, Mapping[int, Caller]],
    n_requests: Callable[[int], int],
    rounds: int,
    round_seconds: float,
    concurrency: int,
    advance: Callable[[int], None],
    seed: int = 0,
) -> dict[str, list[AtBatchSize]]:
    """Run every pipeline at every batch size, the pipelines in random order within a round.

    Args:
        callers: of each pipeline, by batch size.
        n_requests: how many different requests of a batch size there are.
        rounds: of each pipeline and batch size.
        round_seconds: about how long a round is to take; never less than `concurrency` requests.
        concurrency: requests in flight.
        advance: told of each round that is done.
        seed: of the order.

    Raises:
        RuntimeError: if a request fails, with its error.
    """
    rng = random.Random(seed)
    figures: dict[str, list[AtBatchSize]] = {name: [] for name in callers}
    batches = list(next(iter(callers.values())))
    for batch in batches:
        counts = {
            name: await _requests_a_round(each[batch], round_seconds, concurrency) for name, each in callers.items()
        }
        rates: dict[str, list[float]] = {name: [] for name in callers}
        latencies: dict[str, list[float]] = {name: [] for name in callers}
        for _ in range(rounds):
            for name in rng.sample(list(callers), len(callers)):
                requests = [number % n_requests(batch) for number in range(counts[name])]
                block = await run_closed(callers[name][batch], requests, concurrency)
                _check(next((sample.error for sample in block.samples if sample.error), None))
                rates[name].append(block.throughput * batch)
                latencies[name] += [sample.latency * 1000 for sample in block.samples]
                advance(1)
        for name, each in figures.items():
            each.append(AtBatchSize(batch, float(np.median(latencies[name])), float(np.median(rates[name])), rounds))
    return figures


async def _requests_a_round(caller: Caller, round_seconds: float, concurrency: int) -> int:
    """So many that they take about the time wished for, found by some that are not measured."""
    started = time.perf_counter()
    for _ in range(WARM_UP_REQUESTS):
        await caller(0)
    seconds = (time.perf_counter() - started) / WARM_UP_REQUESTS
    return max(concurrency, round(round_seconds * concurrency / seconds))


def _check(error: str | None) -> None:
    if error is not None:
        raise RuntimeError(error)


def as_rows(figures: Mapping[str, Sequence[AtBatchSize]]) -> list[tuple[str, ...]]:
    """A row for the latency of one text, then one for the throughput at each batch size."""
    first, *_ = figures.values()
    at_one = [f"{each[0].latency_ms:.1f}" for each in figures.values() if each[0].batch == 1]
    rows: list[tuple[str, ...]] = [("one text, ms", *at_one)] if at_one else []
    for number, at in enumerate(first):
        per_second = (each[number].per_second for each in figures.values())
        rows.append((f"texts/s at {at.batch}", *(f"{rate:.1f}" for rate in per_second)))
    return rows
