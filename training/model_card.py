"""The model card that goes with a bundle."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from urllib.parse import urlparse

import numpy as np
from numpy.typing import NDArray

from readability_triton.training.bundle import Bundle
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.evaluate import scorer_metrics
from readability_triton.training.metrics import Estimate, measure
from readability_triton.training.recipe import Recipe
from readability_triton.training.yardsticks.figure import Figure

_HELD_OUT = """\
forest's vocabulary and the teacher's regression included. The blend weight and the number of epochs, two numbers, were
chosen on the same predictions. The encoder in this folder is the mean of the weights of a fit on all rows and of
those of the five that ran for as many epochs; the forest is fitted on all rows. There are no figures on other rows
here, as none were at hand. Intervals: 95 %, bootstrap over sources."""

N_BANDS = 5
SMALLEST_KIND = 100

_TEMPLATE = Template("""\
# Model card

Made by $made_by.
`readability build` joins it with the base encoder.

| part | what |
| --- | --- |
| encoder | `$encoder`; sha256 of its weights `$sha256` |
| fine-tuned | $tuned |
| linear layer | on the outputs of layers $layers, averaged over real tokens |
$trained_by
| forest | 100 trees at most 16 deep over 207 counted features |
| blend | $bert_weight of the encoder, the rest of the forest: $blended_by |

## Data and licence

$n_rows excerpts from $n_urls sources with human scores of ease of reading, higher is easier. No excerpt is in this
folder, and the base encoder is not either: it holds differences from its weights.

$licence

To train on data of your own: `$command --data mine.csv --bundle my_bundle`.

## Figures

Out of fold in a 5-fold cross-validation grouped by url: every row is scored by models that never saw its source, the
$held_out

| scorer | RMSE | Pearson | Spearman |
| --- | --- | --- | --- |
$rows

The targets' own standard deviation is $std, which is the RMSE of always saying the mean.

${yardsticks}Where the blend errs, out of fold; bias is mean score less target, positive where texts seem too easy:

| target, from hard to easy | rows | RMSE | bias |
| --- | --- | --- | --- |
$bands

| kind of text, by where it is from | rows | RMSE | bias |
| --- | --- | --- | --- |
$kinds

## Not for

Judging a reader, a pupil or an author, or any decision about one; texts that are not English prose (verse, lists, code,
translations by machine); texts much shorter than 100 words, on which nothing was measured. The score is relative to the
corpus: what its judges would have said of such texts.
""")


@dataclass(frozen=True)
class Training:
    """What a card says of how a bundle was trained.

    Attributes:
        command: that trains one.
        tuned: which layers, and how.
        parts: further rows of the table of parts, name and contents.
        blended_by: how the blend weight was chosen.
        held_out: goes on from "every row is scored by models that never saw its source, the".
        yardsticks: figures beyond RMSE, of encoder, forest and blend.
        coverage: of 90 % intervals: length, texts, share held, mean width.
    """

    command: str
    tuned: str
    parts: Sequence[tuple[str, str]]
    blended_by: str
    held_out: str
    yardsticks: Sequence[Figure] = ()
    coverage: Sequence[tuple[str, int, float, float]] = ()


def single_task(recipe: Recipe, teacher: str | None, epochs: int) -> Training:
    """What is said of `readability train`."""
    return Training(
        command="readability train",
        tuned=_tuned(recipe, epochs),
        parts=[("targets", _targets(recipe, teacher))],
        blended_by="the least squared error out of fold",
        held_out=_HELD_OUT,
    )


def write_model_card(
    bundle: Bundle, out_of_fold: Predictions, training: Training, corpus: Corpus, licence: str, path: Path
) -> None:
    """Write the card: recipe, figures from the out-of-fold predictions, and what is said about the data's licence."""
    facts = bundle.facts
    weight = facts.bert_weight
    metrics = scorer_metrics(out_of_fold, corpus, weight)
    rows = [
        f"| {name} | {_with_interval(each.rmse)} | {_with_interval(each.pearson)} | {_with_interval(each.spearman)} |"
        for name, each in metrics.items()
    ]
    blend = _blend(out_of_fold, weight)
    card = _TEMPLATE.substitute(
        made_by=facts.made_by,
        encoder=facts.encoder,
        sha256=facts.encoder_sha256,
        tuned=training.tuned,
        layers=", ".join(map(str, facts.layers)),
        trained_by="\n".join(f"| {name} | {contents} |" for name, contents in training.parts),
        bert_weight=weight,
        blended_by=training.blended_by,
        command=training.command,
        held_out=training.held_out,
        n_rows=f"{len(corpus.texts):,}",
        n_urls=f"{len(set(corpus.urls)):,}",
        licence=licence,
        rows="\n".join(rows),
        std=f"{corpus.targets.std():.3f}",
        yardsticks=_yardsticks(training),
        bands="\n".join(_error_rows(_bands(corpus), blend, corpus)),
        kinds="\n".join(_error_rows(_kinds(corpus), blend, corpus)),
    )
    path.write_text(card, encoding="utf-8")


def _yardsticks(training: Training) -> str:
    """Tables of the figures beyond RMSE, each with an empty line after it; nothing where there are none."""
    text = ""
    if training.yardsticks:
        rows = (
            f"| {figure.name} | {figure.n:,} | {' | '.join(f'{value:.3f}' for value in figure.values)} |\n"
            for figure in training.yardsticks
        )
        text += f"| yardstick | n | encoder | forest | blend |\n{'| --- ' * 5}|\n{''.join(rows)}\n"
    if training.coverage:
        rows = (f"| {name} | {n:,} | {held:.1%} | {width:.2f} |\n" for name, n, held, width in training.coverage)
        text += (
            "90 % intervals, calibrated on four folds and measured on the fifth, all five in turn:\n\n"
            f"| length | n | held | mean width |\n{'| --- ' * 4}|\n{''.join(rows)}\n"
        )
    return text


def _blend(predictions: Predictions, weight: float) -> NDArray[np.float64]:
    return weight * predictions.bert + (1 - weight) * predictions.cuml


def _tuned(recipe: Recipe, epochs: int) -> str:
    if not epochs:
        return "nothing: the encoder is frozen and the linear layer a ridge regression"
    return (
        f"layers {recipe.n_frozen + 1} to {max(recipe.layers)}, {epochs} epochs planned for {recipe.epochs}; "
        f"RMSE loss, AdamW at {recipe.learning_rate:g} for the highest layer and {recipe.layer_decay:g} of that a "
        f"layer down, weight decay {recipe.weight_decay:g}, {recipe.warm_up:.0%} warm-up, batches of {recipe.batch}, "
        f"gradients clipped at {recipe.max_gradient_norm:g}, weights averaged over steps ({recipe.averaging:g})"
    )


def _targets(recipe: Recipe, teacher: str | None) -> str:
    if teacher is None:
        return "the human scores"
    return (
        f"{1 - recipe.teacher_share:.0%} the human score, {recipe.teacher_share:.0%} what a ridge regression on "
        f"the frozen layers of `{Path(teacher).name}` says of the row, fitted without its source; "
        f"of each half of an excerpt, {recipe.half_teacher_share:.0%}"
    )


def _bands(corpus: Corpus) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Fifths of the rows by their targets."""
    edges = np.quantile(corpus.targets, np.linspace(0, 1, N_BANDS + 1))
    band = np.searchsorted(edges[1:-1], corpus.targets, side="right")
    for number in range(N_BANDS):
        yield f"{edges[number]:.2f} to {edges[number + 1]:.2f}", band == number


def _kinds(corpus: Corpus) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Rows by the host they are from, hosts with few rows together."""
    hosts = [_host(url) for url in corpus.urls]
    large = [host for host, count in Counter(hosts).most_common() if count >= SMALLEST_KIND]
    for host in large:
        yield host or "no host", np.array([each == host for each in hosts])
    yield "others", np.array([each not in large for each in hosts])


def _host(url: str) -> str:
    try:
        return (urlparse(url).hostname or "").removeprefix("www.")
    except ValueError:  # no url at all
        return ""


def _error_rows(
    parts: Iterator[tuple[str, NDArray[np.bool_]]], blend: NDArray[np.float64], corpus: Corpus
) -> Iterator[str]:
    for name, rows in parts:
        if not rows.any():
            continue
        error = measure(blend[rows], corpus.targets[rows], [corpus.urls[row] for row in np.flatnonzero(rows)]).rmse
        bias = (blend - corpus.targets)[rows].mean()
        yield f"| {name} | {rows.sum():,} | {_with_interval(error)} | {bias:+.3f} |"


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
