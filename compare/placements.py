"""Latency and throughput of the pipelines at every batch size, in every placement of their models."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from readability_triton.client.access import Access
from readability_triton.compare import charts, environment
from readability_triton.compare.arm import HYBRID, parse_arm
from readability_triton.compare.callers import SCORE, Caller, Callers, make_target
from readability_triton.compare.comparison import fitted_weight
from readability_triton.compare.connection import open_client
from readability_triton.compare.load import run_closed
from readability_triton.compare.page import PAGES
from readability_triton.compare.peak import AtBatchSize, Use, best_use
from readability_triton.compare.workload import of_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

PIPELINES = ("ensemble_all", "bls_pipeline", HYBRID)
BATCH_SIZES = tuple(2**power for power in range(10))
WARM_UP_REQUESTS = 2


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: of each pipeline and batch size.
        seconds: about how long a round takes.
        concurrency: requests in flight.
    """

    rounds: int
    seconds: float
    concurrency: int


@dataclass
class Figures:
    """What was measured, by pipeline and placement.

    Attributes:
        rows: a row for each batch size.
        not_run: why a pipeline was not measured in a placement.
        tokens: a text on average.
        about: the environment.
        lines: the environment and the requests, a line each.
    """

    rows: dict[str, list[AtBatchSize]] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    tokens: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def uses(self, flop_per_token: int, gpu: str | None) -> dict[str, Use]:
        """The use that each pipeline makes of the chip; `gpu` is the GPU's name."""
        return {
            name: best_use(rows, self.tokens, flop_per_token, gpu if name.endswith("GPU") else None)
            for name, rows in self.rows.items()
        }


def label(pipeline: str, device: str) -> str:
    """What a pipeline in a placement is called; `device` is CPU or GPU."""
    return f"hybrid, models on {device}" if pipeline == HYBRID else f"{pipeline}, all on {device}"


async def measure_pipelines(
    figures: Figures,
    url: str,
    device: str,
    repository: Path,
    texts: Sequence[str],
    tokenizer: "Tokenizer",
    sizes: Sequence[int],
    effort: Effort,
    progress: Progress,
) -> None:
    """Measure every pipeline of the server at `url`, whose models are on `device`, and add it to `figures`."""
    arms = [parse_arm(name) for name in PIPELINES]
    async with open_client(url, Access()) as client:
        figures.about = await environment.describe_environment(client, url, arms)
        weight = await fitted_weight(arms, client)
    workloads = {size: of_texts(texts, size, weight, tokenizer, "the sample passages") for size in sizes}
    pairs = [(arm, size) for arm in arms for size in sizes]
    targets = [make_target(arm, workloads[size], repository, [SCORE]) for arm, size in pairs]
    async with Callers(targets, url, Access()) as each:
        callers: dict[str, dict[int, Caller]] = {label(arm.model, device): {} for arm in arms}
        for (arm, size), caller in zip(pairs, each, strict=True):
            callers[label(arm.model, device)][size] = caller
        title = f"{device}, batch sizes {sizes[0]} to {sizes[-1]}"
        with progress(title, effort.rounds * len(arms) * len(sizes)) as on_progress:
            figures.rows |= await measure(
                callers,
                lambda size: len(workloads[size].requests),
                effort.rounds,
                effort.seconds,
                effort.concurrency,
                on_progress,
            )
    figures.lines = [environment.one_line(figures.about), workloads[1].about()]
    figures.tokens = float(np.mean(workloads[1].tokens or [0]))


async def measure(
    callers: Mapping[str, Mapping[int, Caller]],
    n_requests: Callable[[int], int],
    rounds: int,
    round_seconds: float,
    concurrency: int,
    on_progress: Callable[[int], None],
    seed: int = 0,
) -> dict[str, list[AtBatchSize]]:
    """Run every pipeline at every batch size, the pipelines in random order within a round.

    Args:
        callers: of each pipeline, by batch size.
        n_requests: how many different requests of a batch size there are.
        rounds: of each pipeline and batch size.
        round_seconds: about how long a round takes; it has `concurrency` requests at least.
        concurrency: requests in flight.
        on_progress: called with 1 after each round.
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
                on_progress(1)
        for name, each in figures.items():
            each.append(AtBatchSize(batch, float(np.median(latencies[name])), float(np.median(rates[name])), rounds))
    return figures


async def _requests_a_round(caller: Caller, round_seconds: float, concurrency: int) -> int:
    """As many as take about that time, by a few that are not measured."""
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


def as_record(figures: Figures, uses: Mapping[str, Use], concurrency: int) -> dict[str, Any]:
    """All figures, for JSON."""
    return {
        "figures": {name: [asdict(each) for each in rows] for name, rows in figures.rows.items()},
        "best_use": {name: asdict(use) for name, use in uses.items()},
        "not_run": figures.not_run,
        "concurrency": concurrency,
        "environment": figures.about,
    }


def as_html(figures: Figures, lines: Sequence[str], concurrency: int) -> str:
    """The figures as one HTML file; `lines` say where and how they were measured."""
    series = [(name, [at.batch for at in rows], [at.per_second for at in rows]) for name, rows in figures.rows.items()]
    return PAGES.get_template("placements.html.j2").render(
        title="Pipelines by placement and batch size",
        about=lines,
        concurrency=f"{concurrency} request{'s' if concurrency > 1 else ''} in flight",
        chart=charts.lines(series, "texts a request", "texts a second"),
        names=list(figures.rows),
        rows=as_rows(figures.rows),
        missing=list(figures.not_run.items()),
        environment=environment.to_json(figures.about),
    )
