"""`readability bench-bulk`."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from readability_triton.bench.bulk import (
    TINY,
    BulkFailedError,
    Memory,
    Work,
    run_bulk,
    run_in_turn,
    run_pipeline,
    write_corpus,
)
from readability_triton.bench.timing import Samples, throughput_ratio
from readability_triton.bulk.formats import ROWS_PER_PART
from readability_triton.cli.display import progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.compare.machine import describe_machine
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError
from readability_triton.serving.repository import copy_repository

ARMS = ("pipeline", "one-process", "one-actor", "all-actors")
RATIOS = {
    "all_actors_to_pipeline": ("all-actors", "pipeline"),
    "all_actors_to_one": ("all-actors", "one-actor"),
    "one_actor_to_one_process": ("one-actor", "one-process"),
    "pipeline_to_one_process": ("pipeline", "one-process"),
}
"""The last is what the machine itself gives: cores that share caches, or a host with others, scale less than twice."""


@click.command(
    name="bench-bulk",
    epilog="""\b
Arms:
  pipeline    the pipeline without an engine, in a process of one thread for each of --cores
  one-process the same in one process
  one-actor   `readability bulk --actors 1`
  all-actors  `readability bulk` with an actor for each of --cores

\b
Examples:
  readability bench-bulk --rows 8192 --words 30
  readability bench-bulk --cores 1 --arm pipeline --arm all-actors
  readability bench-bulk --tiny-encoder --rows 1000000 --words 5 --arm all-actors --rounds 1""",
)
@click.option("--rows", type=click.IntRange(1), default=8192, show_default=True, help="Rows of the corpus.")
@click.option("--words", type=click.IntRange(1), default=30, show_default=True, help="Words of a text, on average.")
@click.option("--rows-per-part", type=click.IntRange(1), default=ROWS_PER_PART, show_default=True)
@click.option("--cores", type=click.IntRange(1), help="Cores for all that runs.  [default: all]")
@click.option("--arm", "chosen", type=click.Choice(ARMS), multiple=True, help="What to run.  [default: all]")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--tiny-encoder", is_flag=True, help="Random weights in place of the encoder: shows what the rest costs.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@model_repository_option
def bench_bulk(
    rows: int,
    words: int,
    rows_per_part: int,
    cores: int | None,
    chosen: tuple[str, ...],
    rounds: int,
    tiny_encoder: bool,
    style: str,
    model_repository: Path,
) -> None:
    """Measure what Ray Data costs `readability bulk`: rows a second beside the pipeline without it, and memory."""
    with one_line(ServingError, BulkFailedError, OSError, ValueError), TemporaryDirectory() as folder:
        check_built(model_repository)
        taken = sorted(os.sched_getaffinity(0))[: cores or None]
        if cores and len(taken) < cores:
            raise ValueError(f"--cores {cores}: this process may use {len(taken)}")
        os.sched_setaffinity(0, taken)
        repository = _tiny(model_repository, Path(folder, "tiny")) if tiny_encoder else model_repository.absolute()
        work = Work(repository, Path(folder, "corpus.jsonl"), rows, rows_per_part)
        write_corpus(work.corpus, list(sample_passages().values()), rows, words)
        arms: dict[str, Callable[[], tuple[float, Memory]]] = {
            "pipeline": partial(run_pipeline, work, len(taken)),
            "one-process": partial(run_pipeline, work, 1),
            "one-actor": partial(run_bulk, work, 1),
            "all-actors": partial(run_bulk, work, len(taken)),
        }
        arms = {name: arm for name, arm in arms.items() if name in (chosen or ARMS)}
        with progress("measuring", rounds * len(arms)) as on_progress:
            samples, memory = run_in_turn(arms, rounds, on_progress)
    about = {
        "machine": describe_machine(),
        "cores": len(taken),
        "encoder": "random weights, 1 layer of 32" if tiny_encoder else "as served",
        "rows": rows,
        "words": words,
        "rows_per_part": rows_per_part,
        "rounds": rounds,
    }
    figures = about | {"arms": {name: _figures(samples[name], memory[name]) for name in arms}, **_ratios(samples)}
    click.echo(json.dumps(figures, indent=2)) if style == "json" else _show(figures)


def _tiny(repository: Path, folder: Path) -> Path:
    from readability_triton.training.random_encoder import put_random_encoder

    copied = copy_repository(repository, folder)
    put_random_encoder(copied, "fp32", TINY)
    return copied


def _figures(samples: Samples, runs: list[Memory]) -> dict[str, Any]:
    figures: dict[str, Any] = {"rows_per_second": samples.rates}
    if runs[0].n_bytes:
        last = runs[-1]
        figures["peak_mb"] = max(max(run.n_bytes) for run in runs) / 1e6
        figures["memory_mb_at_rows"] = {last.rows[at]: last.n_bytes[at] / 1e6 for at in _spread(last)}
        if growth := last.growth():
            names = ("value", "low", "high")
            figures["mb_per_100000_rows"] = {n: 0.1 * value for n, value in zip(names, growth, strict=True)}
    return figures


def _spread(memory: Memory) -> list[int]:
    """Some ten readings, each at another number of rows."""
    _, first = np.unique(memory.rows, return_index=True)
    return [int(first[at]) for at in np.unique(np.linspace(0, len(first) - 1, 11).astype(int))]


def _ratios(samples: Mapping[str, Samples]) -> dict[str, Any]:
    return {
        name: asdict(throughput_ratio(samples, arm, base))
        for name, (arm, base) in RATIOS.items()
        if arm in samples and base in samples and len(samples[arm].rates) > 1
    }


def _show(figures: Mapping[str, Any]) -> None:
    head = ("machine", "cores", "encoder", "rows", "words", "rows_per_part", "rounds")
    click.echo("; ".join(f"{name.replace('_', ' ')} {figures[name]}" for name in head))
    for name, arm in figures["arms"].items():
        rates = " ".join(f"{rate:.1f}" for rate in arm["rows_per_second"])
        click.echo(f"{name}\trows/s {rates}")
        if "peak_mb" in arm:
            read = ", ".join(f"{mb:.0f} at {rows}" for rows, mb in arm["memory_mb_at_rows"].items())
            click.echo(f"{name}\tmemory of all processes, MB at rows: {read}; at most {arm['peak_mb']:.0f}")
        if growth := arm.get("mb_per_100000_rows"):
            interval = f"{growth['low']:.2f} to {growth['high']:.2f}"
            click.echo(f"{name}\tgrowth a 100,000 rows after the first fifth, MB: {growth['value']:.2f} ({interval})")
    for name in RATIOS:
        if ratio := figures.get(name):
            click.echo(f"{name.replace('_', ' ')}\t{ratio['value']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})")
