"""`readability soak`."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import INTERRUPTED, one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.starting import starting
from readability_triton.faults.setting import target
from readability_triton.faults.soak.run import ServerGoneError, Soak, run
from readability_triton.faults.soak.slopes import Slope, slopes
from readability_triton.faults.texts import own_texts
from readability_triton.faults.truth import Truth
from readability_triton.faults.verdict import Kind
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options

N_TEXTS = 200


@click.command(
    epilog="""\b
Examples:
  readability soak
  readability soak --requests 5000 --concurrency 32
  readability soak --format json > soak.json

\b
Exit codes: 0 all answers right, no resource grows; 1 otherwise; 130 stopped by Ctrl-C, after the report."""
)
@click.option("--requests", "n_requests", type=click.IntRange(1), default=50_000, show_default=True)
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True)
@click.option("--log-file", type=click.Path(dir_okay=False, path_type=Path), help="Triton's log.  [default: none kept]")
@click.option("--seed", default=0, show_default=True)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@model_repository_option
def soak(
    n_requests: int, concurrency: int, log_file: Path | None, seed: int, style: str, model_repository: Path
) -> None:
    """Send tens of thousands of requests of every kind, judge each answer, and measure how the server's processes grow.

    Mixed sizes, both pipelines and protocols, every policy; bad requests and cancelled ones among them.
    """
    repository = model_repository.resolve()
    done = Soak()
    interrupted = False
    with one_line(ServingError, TimeoutError, OSError):
        check_built(repository)
        with console.status("scoring the texts in process …"):
            truth = Truth.of(own_texts(N_TEXTS, seed), repository)
        with (
            starting(Options(repository, log_file=log_file)) as server,
            progress("requests", n_requests) as on_progress,
        ):
            try:
                asyncio.run(
                    run(done, target(server, truth), server.process.pid, n_requests, concurrency, on_progress, seed)
                )
            except KeyboardInterrupt:
                interrupted = True
            except ServerGoneError as error:
                done.wrong.append(str(error))
    measured = slopes(done.readings, done.requests)
    _show(done, measured, style)
    if interrupted:
        raise SystemExit(INTERRUPTED)
    raise SystemExit(0 if not _is_bad(done) and all(slope.is_flat for slope in measured) else 1)


def _is_bad(done: Soak) -> bool:
    return bool(done.wrong) or any(done.verdicts[kind] for kind in (Kind.ERROR, Kind.WRONG, Kind.UNANSWERED))


def _show(done: Soak, measured: list[Slope], style: str) -> None:
    counts = {kind.value: done.verdicts[kind] for kind in Kind} | {"refused": done.refused, "cancelled": done.cancelled}
    if style == "json":
        readings = [asdict(reading) for reading in done.readings]
        found = {"requests": done.requests, **counts, "notes": done.wrong, "slopes": list(map(asdict, measured))}
        click.echo(json.dumps(found | {"readings": readings}, indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("warmed up", "at the end", "per 1,000 requests", ""):
        table.add_column(column, justify="right")
    for slope in measured:
        unit = " MB" if slope.unit == "MB" else ""
        digits = 1 if slope.unit == "MB" else 0
        table.add_row(
            slope.name,
            f"{slope.first:.{digits}f}{unit}",
            f"{slope.last:.{digits}f}{unit}",
            f"{slope.per_thousand:+.3f} ({slope.low:+.3f} to {slope.high:+.3f})",
            "flat" if slope.is_flat else "GROWS",
            style=None if slope.is_flat else "bold red",
        )
    out = Console(highlight=False)
    out.print(f"{done.requests} requests: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    out.print(table)
    for line in done.wrong:
        out.print(line)
