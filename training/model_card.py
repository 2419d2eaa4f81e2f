"""The model card that goes with a bundle."""

from pathlib import Path
from string import Template

from training.corpus import Corpus
from training.evaluate import scorer_metrics
from training.metrics import Estimate
from training.train import Trained

_TEMPLATE = Template("""\
# Model card

What `readability train` left behind; `readability build` joins it with the base encoder.

| part | what |
| --- | --- |
| encoder | `$encoder`, frozen; sha256 of its weights `$sha256` |
| linear layer | ridge regression (penalty $alpha) on the outputs of layers $layers, averaged over real tokens |
| forest | 100 trees at most 16 deep over 207 counted features |
| blend | $bert_weight of the encoder, the rest of the forest: the least squared error out of fold |

## Data and licence

$n_rows excerpts from $n_urls sources with human scores of ease of reading, higher is easier. No excerpt is in this
folder, and the base encoder is not either.

$licence

## Figures

Out of fold in a 5-fold cross-validation grouped by url: every row is scored by models that never saw its source, the
forest's vocabulary and normalisation included. The blend weight and the ridge penalty, two numbers, were chosen on the
same predictions. Intervals: 95 %, bootstrap over sources.

| scorer | RMSE | Pearson | Spearman |
| --- | --- | --- | --- |
$rows

The targets' own standard deviation is $std, which is the RMSE of always saying the mean.

## Not for

Judging a reader, a pupil or an author; texts that are not English prose (verse, lists, code, translations by machine);
texts much shorter than 100 words, on which nothing was measured. The score is relative to the corpus: what its judges
would have said of such texts.
""")


def write_model_card(trained: Trained, corpus: Corpus, licence: str, path: Path) -> None:
    """Write the card: figures from the out-of-fold predictions, and what is said about the data's licence."""
    facts = trained.bundle.facts
    metrics = scorer_metrics(trained.out_of_fold, corpus, facts.bert_weight)
    rows = [
        f"| {name} | {_with_interval(each.rmse)} | {_with_interval(each.pearson)} | {_with_interval(each.spearman)} |"
        for name, each in metrics.items()
    ]
    card = _TEMPLATE.substitute(
        encoder=facts.encoder,
        sha256=facts.encoder_sha256,
        alpha=f"{trained.alpha:g}",
        layers=", ".join(map(str, facts.layers)),
        bert_weight=facts.bert_weight,
        n_rows=f"{len(corpus.texts):,}",
        n_urls=f"{len(set(corpus.urls)):,}",
        licence=licence,
        rows="\n".join(rows),
        std=f"{corpus.targets.std():.3f}",
    )
    path.write_text(card, encoding="utf-8")


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
