"""`readability graph`."""

from pathlib import Path

import click

from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.ensemble.check import problems
from readability_triton.ensemble.config import ConfigError, read_ensemble
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.draw import DRAWINGS


@click.command(
    epilog="""\b
Examples:
  readability graph
  readability graph --format mermaid ensemble_all > pipeline.mmd
  readability graph --model-repository ~/my_models my_ensemble

\b
Exit codes: 0 drawn and sound; 1 drawn, with problems, or not readable; 2 bad usage."""
)
@click.argument("name", default="ensemble_all")
@click.option("--format", "style", type=click.Choice(list(DRAWINGS)), default="text", show_default=True)
@model_repository_option
def graph(name: str, style: str, model_repository: Path) -> None:
    """Draw the ensemble NAME, read from its config.pbtxt, and check it without a server."""
    with one_line(ConfigError):
        ensemble, models = read_ensemble(model_repository, name)
    click.echo(DRAWINGS[style](Dag.of(ensemble)))
    found = problems(ensemble, models)
    for problem in found:
        click.echo(f"problem: {problem}", err=True)
    raise SystemExit(1 if found else 0)
