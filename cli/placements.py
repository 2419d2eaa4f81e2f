"""`readability placements`."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.cli.workload import tokenizer, write
from readability_triton.client.errors import ReadabilityError
from readability_triton.compare.peak import Use
from readability_triton.compare.placements import (
    BATCH_SIZES,
    PIPELINES,
    Effort,
    Figures,
    as_html,
    as_record,
    as_rows,
    label,
    measure_pipelines,
)
from readability_triton.ensemble.config import read_config
from readability_triton.serving.errors import PlacementError, ServingError
from readability_triton.serving.gpu import find_gpus, missing_requirements
from readability_triton.serving.placement import Placement, placement_environment
from readability_triton.serving.server import Options

PLACEMENTS = (Placement.CPU, Placement.GPU)


@click.command(
    epilog="""\b
Examples:
  readability placements
  readability placements --largest 64 --rounds 5 --html placements.html --json placements.json"""
)
@click.option(
    "--largest",
    type=click.Choice([str(size) for size in BATCH_SIZES]),
    default=str(BATCH_SIZES[-1]),
    show_default=True,
    help="Largest batch size.",
)
@click.option(
    "--placement",
    "chosen",
    type=click.Choice([each.value for each in PLACEMENTS]),
    multiple=True,
    default=[each.value for each in PLACEMENTS],
    show_default=True,
    help="May be given several times.",
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(0), default=1.0, show_default=True, help="Of a round, at least.")
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Requests in flight.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Where to write a report.")
@click.option("--json", "record_file", type=click.Path(dir_okay=False, path_type=Path), help="Where to write figures.")
@model_repository_option
def placements(
    largest: str,
    chosen: tuple[str, ...],
    rounds: int,
    seconds: float,
    concurrency: int,
    html: Path | None,
    record_file: Path | None,
    model_repository: Path,
) -> None:
    """Measure every pipeline in every placement, at batch sizes 1, 2, 4 … 512, on the sample passages.

    All on the CPU, hybrid (stages at the client, models in the server) and all on the GPU; a placement that this
    machine cannot run is shown as not run, with the reason.
    """
    repository = model_repository.resolve()
    sizes = [size for size in BATCH_SIZES if size <= int(largest)]
    figures = Figures()
    with one_line(ServingError, ReadabilityError, RuntimeError, TimeoutError, OSError, ValueError):
        for placement in map(Placement, dict.fromkeys(chosen)):
            _measure(figures, placement, repository, sizes, Effort(rounds, seconds, concurrency))
        if not figures.rows:
            raise PlacementError(f"nothing can be measured here: {'; '.join(missing_requirements(repository))}")
        uses = _uses(figures, repository)
        lines = [*figures.lines, *(f"{name}: {use}" for name, use in uses.items())]
        _show(figures, lines)
        if record_file:
            write(record_file, json.dumps(as_record(figures, uses, concurrency), indent=1))
        if html:
            write(html, as_html(figures, lines, concurrency))
            console.print(f"Report: {html}")


def _measure(figures: Figures, placement: Placement, repository: Path, sizes: list[int], effort: Effort) -> None:
    device = placement.value.upper()
    try:
        placement_environment(placement, repository)
    except PlacementError:
        reason = "; ".join(missing_requirements(repository))
        figures.not_run |= {label(pipeline, device): reason for pipeline in PIPELINES}
        return
    texts = list(sample_passages().values())
    with starting(Options(repository, placement)) as server:
        url, counter = server.grpc_url, tokenizer(repository)
        asyncio.run(measure_pipelines(figures, url, device, repository, texts, counter, sizes, effort, progress))


def _uses(figures: Figures, repository: Path) -> Mapping[str, Use]:
    """The use of the chip; none where the configuration does not say what a token costs."""
    flop = read_config(repository / "bert-large" / "config.pbtxt").parameters.get("encoder_flop_per_token")
    return figures.uses(int(flop.string_value), next((gpu.name for gpu in find_gpus()), None)) if flop else {}


def _show(figures: Figures, lines: list[str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in figures.rows:
        table.add_column(name.replace(", ", ",\n"), justify="right")
    for row in as_rows(figures.rows):
        table.add_row(*row)
    out = Console(highlight=False)
    for line in lines:
        out.print(line)
    out.print(table)
    for name, reason in figures.not_run.items():
        out.print(f"not run: {name}: {reason}")
