"""`readability evaluate`."""

import json
from dataclasses import asdict
from pathlib import Path

import click
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

AS_BUILT = "scored by the models as built"
OUT_OF_FOLD = "5-fold by url: scores kept from training, every row's by models that never saw its url"


@click.command(
    epilog="""\b
Examples:
  readability evaluate --data held_out.csv
  readability evaluate --data train.csv --split url
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
@click.option("--bert-weight", type=click.FloatRange(0, 1), help="Of the blend.  [default: as fitted]")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@bundle_option
@model_repository_option
def evaluate(
    data: Path, split: str, bert_weight: float | None, style: str, bundle: Path, model_repository: Path
) -> None:
    """RMSE, Pearson and Spearman of encoder, forest and blend on DATA, with 95 % intervals over sources."""
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
    if how == AS_BUILT and known:
        console.print(
            f"{known} of {len(corpus.texts)} rows are from sources trained on: these are not held-out figures."
        )
    _show(metrics, f"{len(corpus.texts)} rows, {len(set(corpus.urls))} sources; {how}; blend weight {weight}", style)


def _as_built(corpus: Corpus, repository: Path) -> Predictions:
    check_built(repository)
    pipeline = InProcessPipeline(repository)
    with progress("scoring", len(corpus.texts)) as on_progress:
        return predict_as_built(corpus.texts, pipeline, on_progress)


def _show(metrics: dict[str, Metrics], how: str, style: str) -> None:
    if style == "json":
        click.echo(json.dumps({"how": how} | {name: asdict(each) for name, each in metrics.items()}, indent=2))
        return
    table = Table("scorer", "RMSE", "Pearson", "Spearman", box=box.SIMPLE_HEAD, caption=how, caption_justify="left")
    for name, each in metrics.items():
        table.add_row(name, *map(_cell, (each.rmse, each.pearson, each.spearman)))
    Console(highlight=False).print(table)


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"
