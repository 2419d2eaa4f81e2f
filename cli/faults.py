"""`readability faults`."""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from readability_triton.cli.display import console
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.faults.catalogue import FAULTS
from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, NotInOrderError, Setting
from readability_triton.faults.tables import as_json, as_table, remarks
from readability_triton.faults.texts import own_texts
from readability_triton.faults.truth import Truth
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError

N_TEXTS = 200


@click.command(
    epilog="""\b
Examples:
  readability faults
  readability faults --list
  readability faults --only kill-bert-large --only hostile --cases 10000
  readability faults --format json > faults.json

\b
Exit codes: 0 every promise was kept; 1 an answer was wrong or missing, or something did not recover."""
)
@click.option("--only", multiple=True, type=click.Choice(list(FAULTS)), metavar="NAME", help="This fault; repeatable.")
@click.option("--list", "listed", is_flag=True, help="Name the faults and end.")
@click.option("--seconds", default=2.0, show_default=True, help="How long to look at least after each fault.")
@click.option("--cases", default=2000, show_default=True, help="Hostile requests.")
@click.option("--seed", default=0, show_default=True)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@model_repository_option
def faults(
    only: tuple[str, ...], listed: bool, seconds: float, cases: int, seed: int, style: str, model_repository: Path
) -> None:
    """Break a running server in every way that is known, under load, and hold its answers against the truth.

    Each request is counted as right, degraded and flagged so, a clear error, wrong, or not answered.
    """
    if listed:
        for fault in FAULTS.values():
            click.echo(f"{fault.name:<24}{fault.about}")
        return
    chosen = [fault for fault in FAULTS.values() if not only or fault.name in only]
    repository = model_repository.resolve()
    with one_line(ServingError, NotInOrderError, TimeoutError, OSError), tempfile.TemporaryDirectory() as folder:
        check_built(repository)
        with console.status("scoring the texts in process …"):
            truth = Truth.of(own_texts(N_TEXTS, seed), repository)
        setting = Setting(repository, truth, Path(folder), seconds, seed, cases)
        try:
            results = [_try(fault, setting) for fault in chosen]
        finally:
            setting.discard()
    if style == "json":
        click.echo(json.dumps(as_json(results), indent=2))
    else:
        Console(highlight=False).print(as_table(results))
        click.echo("\n".join(remarks(results)))
    raise SystemExit(1 if any(result.failed for result in results) else 0)


def _try(fault: Fault, setting: Setting) -> Result:
    start = time.monotonic()
    setting.supervisor_lines.clear()
    with console.status(f"{fault.name}: {fault.about} …"):
        try:
            result = fault.run(setting)
        except NotInOrderError as error:
            result = Result(fault.name, broken=[str(error)])
            setting.discard()
    result = replace(result, seconds=time.monotonic() - start)
    console.print(f"{'✗' if result.failed else '–' if result.skipped else '✓'} {fault.name}, {result.seconds:.0f} s")
    return result
