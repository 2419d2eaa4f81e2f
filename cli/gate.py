"""`readability gate`."""

import json
from pathlib import Path

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.cli.display import console
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import bundle_option
from readability_triton.stages.features import extract
from readability_triton.training.bundle import Bundle, forest_bytes
from readability_triton.training.corpus import CorpusError, read_corpus
from readability_triton.training.evaluate import predict_out_of_fold
from readability_triton.training.gate import Point, cascade_curve, fit_gate, out_of_fold_gate
from readability_triton.training.risk import largest_safe_share

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


@click.command(
    epilog="""\b
Examples:
  readability gate --data train.csv
  readability gate --data train.csv --format json > curve.json
  readability gate --data train.csv --bundle my_bundle --write && readability build --bundle my_bundle"""
)
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The CSV that the bundle was trained on: excerpt, target, url.",
)
@click.option("--write", is_flag=True, help="Put the gate into the bundle.")
@click.option("--risk", type=click.FloatRange(0), default=0.01, show_default=True, help="RMSE that it may cost.")
@click.option("--seed", default=0, show_default=True)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@bundle_option
def gate(data: Path, write: bool, risk: float, seed: int, style: str, bundle: Path) -> None:
    """What policy cascade saves and costs: share of rows that skip the encoder against RMSE, out of fold.

    The gate is fitted on the out-of-fold scores in the bundle, and here cross-validated by url. Says on standard error
    what share of rows may skip such that the RMSE grows by at most RISK, tested by source.
    """
    with one_line(CorpusError, OSError, ValueError):
        corpus, trained = read_corpus(data), Bundle.load(bundle)
        scores = predict_out_of_fold(corpus, trained)
        with console.status("cross-validating the gate …"):
            expected = out_of_fold_gate(corpus, scores, seed)
            curve = cascade_curve(expected, scores, corpus.targets, SHARES)
            safe = largest_safe_share(expected, scores.cuml, scores.bert, corpus.targets, corpus.urls, risk)
            tolerance = float(np.quantile(expected, safe)) if safe else 0.0
        if write:
            fitted = fit_gate(extract(corpus.texts, trained.features), scores, seed)
            trained.save_gate(bundle, forest_bytes(fitted))
            console.print(f"Wrote the gate into {bundle}; `readability build` takes it from there.")
    console.print(
        f"At most {risk:.0%} more RMSE with 95 % confidence: {safe:.0%} of the rows may skip the encoder"
        + (f", tolerance {tolerance:.3f}." if safe else ".")
    )
    _show(curve, style)


def _show(curve: list[Point], style: str) -> None:
    if style == "json":
        click.echo(json.dumps([point._asdict() for point in curve], indent=2))
        return
    table = Table("tolerance", "skip the encoder", "RMSE", "", "by chance", box=box.SIMPLE_HEAD)
    for point in curve:
        table.add_row(
            f"{point.tolerance:.3f}",
            f"{point.skipped:.0%}",
            f"{point.rmse:.3f}",
            f"{point.rmse / curve[0].rmse - 1:+.1%}",
            f"{point.by_chance / curve[0].rmse - 1:+.1%}",
        )
    Console(highlight=False).print(table)
