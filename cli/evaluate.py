"""`readability evaluate`."""

import json
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from treelite import TreeliteError

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import bundle_option, model_repository_option
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import NotBuiltError
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.bundle import Bundle
from readability_triton.training.corpus import Corpus, CorpusError, read_corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.evaluate import (
    has_out_of_fold,
    predict_as_built,
    predict_out_of_fold,
    scorer_metrics,
    was_trained_on,
)
from readability_triton.training.metrics import Estimate, Metrics
from readability_triton.training.yardsticks.figure import Figure
from readability_triton.training.yardsticks.measure import SCORERS, measure_corpus, measure_files, scorer

AS_BUILT = "scored by the models as built"
OUT_OF_FOLD = "5-fold by url: scores kept from training, every row's by models that never saw its url"


_CSV = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  readability evaluate --data held_out.csv
  readability evaluate --data train.csv --split url
  readability evaluate --data held_out.csv --yardsticks --pairs articles.csv --levels sentences.csv
  readability evaluate --data held_out.csv --format json > figures.json"""
)
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV: excerpt, target, url.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "url", "none"]),
    default="auto",
    show_default=True,
    help="url: scores kept from the cross-validation. none: the models as built. auto: url if all were trained on.",
)
@click.option(
    "--pairs", type=_CSV, multiple=True, help="CSV: harder, easier (or original, simple_0, …): pairs in order."
)
@click.option("--levels", type=_CSV, multiple=True, help="CSV: sentence, level_a, level_b, source: rank correlation.")
@click.option(
    "--yardsticks", is_flag=True, help="Also the error by number of sentences, and sensitivity at fixed topic, on DATA."
)
@click.option("--bert-weight", type=click.FloatRange(0, 1), help="Of the blend.  [default: as fitted]")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@bundle_option
@model_repository_option
def evaluate(
    data: Path,
    split: str,
    pairs: tuple[Path, ...],
    levels: tuple[Path, ...],
    yardsticks: bool,
    bert_weight: float | None,
    style: str,
    bundle: Path,
    model_repository: Path,
) -> None:
    """RMSE, Pearson and Spearman of encoder, forest and blend on DATA, with 95 % intervals over sources.

    Yardsticks beyond DATA's own scores are measured on the models as built; on texts that they were trained on they
    flatter.
    """
    with one_line(CorpusError, NotBuiltError, TreeliteError, OSError, ValueError, RuntimeError):
        corpus, trained = read_corpus(data), Bundle.load(bundle)
        known = was_trained_on(corpus, trained)
        how = OUT_OF_FOLD if split == "url" or (split == "auto" and has_out_of_fold(corpus, trained)) else AS_BUILT
        if how == OUT_OF_FOLD:
            predictions = predict_out_of_fold(corpus, trained)
        else:
            predictions = _as_built(corpus, model_repository)
        weight = trained.facts.bert_weight if bert_weight is None else bert_weight
        with console.status("measuring …"):
            metrics = scorer_metrics(predictions, corpus, weight)
        figures = []
        if pairs or levels or yardsticks:
            check_built(model_repository)
            score = scorer(InProcessPipeline(model_repository), weight, progress)
            figures = measure_files(pairs, levels, score) + (measure_corpus(corpus, score) if yardsticks else [])
    if how == AS_BUILT and known:
        console.print(
            f"{known} of {len(corpus.texts)} rows are from sources trained on: these are not held-out figures."
        )
    _show(
        metrics,
        figures,
        f"{len(corpus.texts)} rows, {len(set(corpus.urls))} sources; {how}; blend weight {weight}",
        style,
    )


def _as_built(corpus: Corpus, repository: Path) -> Predictions:
    check_built(repository)
    pipeline = InProcessPipeline(repository)
    with progress("scoring", len(corpus.texts)) as on_progress:
        return predict_as_built(corpus.texts, pipeline, on_progress)


def _show(metrics: dict[str, Metrics], figures: list[Figure], how: str, style: str) -> None:
    if style == "json":
        measured: dict[str, object] = {"how": how} | {name: asdict(each) for name, each in metrics.items()}
        if figures:
            measured["yardsticks"] = [_as_json(each) for each in figures]
        click.echo(json.dumps(measured, indent=2))
        return
    table = Table("scorer", "RMSE", "Pearson", "Spearman", box=box.SIMPLE_HEAD, caption=how, caption_justify="left")
    for name, each in metrics.items():
        table.add_row(name, *map(_cell, (each.rmse, each.pearson, each.spearman)))
    Console(highlight=False).print(table)
    if figures:
        more = Table("yardstick, models as built", "n", *SCORERS, box=box.SIMPLE_HEAD)
        for figure in figures:
            more.add_row(figure.name, f"{figure.n:,}", *(f"{value:.3f}" for value in figure.values))
        Console(highlight=False).print(more)


def _as_json(figure: Figure) -> dict[str, object]:
    values = {
        name: None if np.isnan(value) else float(value) for name, value in zip(SCORERS, figure.values, strict=True)
    }
    return {"name": figure.name, "n": figure.n} | values


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"
