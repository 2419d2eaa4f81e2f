"""`readability bench`."""

import json
import os

from readability_triton.serving.environment import STAGE_DEFAULTS

# Before PyTorch loads its threads: those of this process must not spin while the server is measured.
os.environ.setdefault("GOMP_SPINCOUNT", STAGE_DEFAULTS["GOMP_SPINCOUNT"])

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.bench.orchestration import BLS, CONCURRENCY, ENSEMBLE, IN_PROCESS, Measured, measure
from readability_triton.bench.timing import Samples, added_latency, throughput_ratio
from readability_triton.cli.display import progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.scorer import Scorer
from readability_triton.compare.machine import describe_machine
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options
from readability_triton.stages.pipeline import InProcessPipeline


@click.command(
    epilog="""\b
Examples:
  readability bench
  readability bench --rounds 30 --format json > bench.json"""
)
@click.option("--rounds", type=click.IntRange(2), default=12, show_default=True)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@model_repository_option
def bench(rounds: int, style: str, model_repository: Path) -> None:
    """Measure what orchestration adds, on the sample passages, one excerpt a request.

    Each pipeline is compared with the critical path in this process: tokens and features, encoder, blend, no server.
    """
    repository = model_repository.resolve()
    texts = list(sample_passages().values())
    with one_line(ServingError, ReadabilityError, TimeoutError, OSError):
        check_built(repository)
        stages = InProcessPipeline(repository)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        with starting(Options(repository)) as server, ExitStack() as stack:
            scorers = {name: stack.enter_context(Scorer(name, None, server.grpc_url)) for name in (ENSEMBLE, BLS)}
            measured = measure(stages, scorers, texts, rounds, progress)
    lengths = [len(encoding.ids) for encoding in stages.tokenizer.encode_batch(texts)]
    about = {
        "machine": describe_machine(),
        "tokens": f"{np.mean(lengths):.0f} tokens a request ({min(lengths)} to {max(lengths)})",
        "rounds": rounds,
    }
    if style == "json":
        figures = {"1": _figures(measured.single), str(CONCURRENCY): _figures(measured.concurrent)}
        click.echo(json.dumps(about | figures, indent=2))
    else:
        _show(about, measured)


def _figures(samples: Mapping[str, Samples]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, each in samples.items():
        p50, p95, p99 = np.percentile(each.latencies, [50, 95, 99]) * 1000
        figures[name] = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "per_second": float(np.median(each.rates))}
    return figures


def _show(about: Mapping[str, Any], measured: Measured) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("concurrency", "", "p50 ms", "p95 ms", "p99 ms", "per second"):
        table.add_column(column, justify="left" if not column else "right")
    for concurrency, samples in zip((1, CONCURRENCY), measured, strict=True):
        for name, row in _figures(samples).items():
            table.add_row(str(concurrency), name, *(f"{value:.1f}" for value in row.values()))
    console = Console(highlight=False)
    console.print(f"{about['machine']}; {about['tokens']}")
    console.print(table)
    for name in (ENSEMBLE, BLS):
        added = added_latency(measured.single, name, IN_PROCESS)
        span = f"{added.low * 1000:.2f} to {added.high * 1000:.2f}"
        console.print(f"{name} adds {added.value * 1000:.2f} ms at p50 for one excerpt ({span})")
    ratio = throughput_ratio(measured.concurrent, BLS, ENSEMBLE)
    console.print(
        f"{BLS} gives {ratio.value:.3f} of {ENSEMBLE}'s throughput at concurrency {CONCURRENCY} "
        f"({ratio.low:.3f} to {ratio.high:.3f})"
    )
