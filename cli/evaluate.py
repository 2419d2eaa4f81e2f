"""`readability evaluate`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
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
from readability_triton.training.bundle import Bundle, OutOfFold
from readability_triton.training.corpus import Corpus, CorpusError, read_corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.evaluate import (
    has_out_of_fold,
    predict_as_built,
    predict_out_of_fold,
    was_trained_on,
)
from readability_triton.training.metrics import Estimate, Metrics, measure
from readability_triton.training.yardsticks.blend_weight import cost
from readability_triton.training.yardsticks.figure import Figure
from readability_triton.training.yardsticks.measure import (
    Yardstick,
    blends,
    score_as_built,
    score_out_of_fold,
    yardsticks_of_corpus,
    yardsticks_of_files,
)
from readability_triton.training.yardsticks.measure import measure as measure_yardsticks

SCORERS = ("encoder", "forest", "blend")
AS_BUILT = "scored by the models as built"
OUT_OF_FOLD = "5-fold by url: scores kept from training, every row's by models that never saw its url"


_CSV = click.Path(exists=True, dir_okay=False, path_type=Path)


def _weights(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[float, ...]:
    """Weights of the encoder, of a list with commas."""
    try:
        weights = tuple(map(float, value.split(","))) if value else ()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list of numbers, such as 0.8,0.9,1") from None
    if not all(0 <= each <= 1 for each in weights):
        raise click.BadParameter(f"{value!r}: a weight lies between 0 and 1")
    return weights


@click.command(
    epilog="""\b
Examples:
  readability evaluate --data held_out.csv
  readability evaluate --data train.csv --split url
  readability evaluate --data held_out.csv --yardsticks --pairs articles.csv --levels sentences.csv
  readability evaluate --data train.csv --yardsticks --levels sentences.csv --blend-weights 0.9,0.95,1
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
@click.option(
    "--blend-weights",
    callback=_weights,
    help="Such as 0.8,0.9,1: every figure at each weight of the encoder, and what each weight costs by all of them.",
)
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
    blend_weights: tuple[float, ...],
    style: str,
    bundle: Path,
    model_repository: Path,
) -> None:
    """RMSE, Pearson and Spearman of encoder, forest and blend on DATA, with 95 % intervals over sources.

    Yardsticks beyond DATA's own scores are measured out of fold where the bundle has such scores of all their texts,
    else on the models as built; on texts that these were trained on they flatter.
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
        weights = blend_weights or (1.0, 0.0, weight)
        names = [f"{each:g}" for each in blend_weights] or list(SCORERS)
        with console.status("measuring …"):
            blended = zip(names, blends(predictions, weights), strict=True)
            metrics = {name: measure(scores, corpus.targets, corpus.urls) for name, scores in blended}
        wanted = [*yardsticks_of_files(pairs, levels), *(yardsticks_of_corpus(corpus) if yardsticks else [])]
        figures = _figures(wanted, trained, weights, split, model_repository)
        if blend_weights:
            errors = np.array([each.rmse.value for each in metrics.values()])
            every = [Figure("RMSE", len(corpus.texts), errors, "RMSE"), *figures]
            figures.append(Figure("cost by all figures", len(every), cost(every), "cost"))
    if how == AS_BUILT and known:
        console.print(
            f"{known} of {len(corpus.texts)} rows are from sources trained on: these are not held-out figures."
        )
    _show(
        metrics,
        figures,
        f"{len(corpus.texts)} rows, {len(set(corpus.urls))} sources; {how}"
        + (f"; blend weight {weight}" if not blend_weights else ""),
        style,
    )


def _figures(
    yardsticks: list[Yardstick], trained: Bundle, weights: Sequence[float], split: str, repository: Path
) -> list[Figure]:
    """Out of fold where they can be, unless models as built are asked for."""
    known = trained.out_of_fold if split != "none" else OutOfFold.of([], *np.empty((2, 0)))
    out_of_fold = score_out_of_fold(known, weights)

    def as_built(texts: Sequence[str]) -> NDArray[np.float64]:
        check_built(repository)
        return score_as_built(InProcessPipeline(repository), weights, progress)(texts)

    return measure_yardsticks(yardsticks, as_built, out_of_fold)


def _as_built(corpus: Corpus, repository: Path) -> Predictions:
    check_built(repository)
    pipeline = InProcessPipeline(repository)
    with progress("scoring", len(corpus.texts)) as on_progress:
        return predict_as_built(corpus.texts, pipeline, on_progress)


def _show(metrics: dict[str, Metrics], figures: list[Figure], how: str, style: str) -> None:
    if style == "json":
        measured: dict[str, object] = {"how": how} | {name: asdict(each) for name, each in metrics.items()}
        if figures:
            measured["yardsticks"] = [_as_json(each, list(metrics)) for each in figures]
        click.echo(json.dumps(measured, indent=2))
        return
    columns = list(metrics)
    table = Table(
        "scorer" if columns == list(SCORERS) else "blend weight",
        "RMSE",
        "Pearson",
        "Spearman",
        box=box.SIMPLE_HEAD,
        caption=how,
        caption_justify="left",
    )
    for name, each in metrics.items():
        table.add_row(name, *map(_cell, (each.rmse, each.pearson, each.spearman)))
    Console(highlight=False).print(table)
    if figures:
        more = Table("yardstick", "n", *columns, box=box.SIMPLE_HEAD)
        for figure in figures:
            more.add_row(figure.name, f"{figure.n:,}", *(f"{value:.3f}" for value in figure.values))
        Console(highlight=False).print(more)


def _as_json(figure: Figure, columns: list[str]) -> dict[str, object]:
    values = {
        name: None if np.isnan(value) else float(value) for name, value in zip(columns, figure.values, strict=True)
    }
    return {"name": figure.name, "n": figure.n} | values


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f}–{estimate.high:.3f})"
