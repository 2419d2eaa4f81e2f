"""`readability bench-memory`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.bench.replica import Load, NotServingError, ReplicaMemory, measure_replica
from readability_triton.cli.display import progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.client.errors import ReadabilityError
from readability_triton.compare.machine import describe_machine
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError

PIPELINES = ("ensemble_all", "bls_pipeline")


@click.command(
    name="bench-memory",
    epilog="""\b
Examples:
  readability bench-memory
  readability bench-memory --pipeline bls_pipeline --rows 512 --requests 24
  readability bench-memory --format json > memory.json""",
)
@click.option(
    "--pipeline", "chosen", type=click.Choice(PIPELINES), multiple=True, help="Which to ask.  [default: both]"
)
@click.option("--requests", "n_requests", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--rows", type=click.IntRange(1, 512), default=1, show_default=True, help="Texts of a request.")
@click.option("--in-flight", type=click.IntRange(1), default=8, show_default=True, help="Requests at a time.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@model_repository_option
def bench_memory(
    chosen: tuple[str, ...], n_requests: int, rows: int, in_flight: int, style: str, model_repository: Path
) -> None:
    """Measure the memory of a server's processes, idle and under load, each pipeline on a server of its own.

    Proportional set sizes: a page that several processes share counts once in their sum.
    """
    repository = model_repository.resolve()
    pipelines = [name for name in PIPELINES if name in (chosen or PIPELINES)]
    load = Load(list(sample_passages().values()), n_requests, rows, in_flight)
    with one_line(ServingError, NotServingError, ReadabilityError, OSError):
        check_built(repository)
        with progress("requests", n_requests * len(pipelines)) as on_progress:
            measured = {name: measure_replica(repository, name, load, on_progress) for name in pipelines}
    about = {"machine": describe_machine(), "requests": n_requests, "rows": rows, "in_flight": in_flight}
    if style == "json":
        click.echo(json.dumps(about | {name: _megabytes(memory) for name, memory in measured.items()}, indent=2))
    else:
        _show(about, measured)


def _megabytes(memory: ReplicaMemory) -> dict[str, Any]:
    idle, after = (
        {name: n_bytes / 1e6 for name, n_bytes in (*each.items(), ("all", sum(each.values())))}
        for each in (memory.idle, memory.after)
    )
    return {"idle_mb": idle, "after_mb": after, "peak_mb": memory.peak / 1e6}


def _show(about: Mapping[str, Any], measured: Mapping[str, ReplicaMemory]) -> None:
    out = Console(highlight=False)
    out.print("; ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items()))
    for pipeline, memory in measured.items():
        figures = _megabytes(memory)
        table = Table(box=box.SIMPLE_HEAD, title=pipeline, title_justify="left")
        for column in ("process", "idle, MB", "after, MB"):
            table.add_column(column, justify="left" if column == "process" else "right")
        for name, after in figures["after_mb"].items():
            table.add_row(name, f"{figures['idle_mb'].get(name, 0):.0f}", f"{after:.0f}")
        out.print(table)
        out.print(f"at most {figures['peak_mb']:.0f} MB under load")
