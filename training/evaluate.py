"""How good the scores are: of what is built on new rows, out of fold where the rows were trained on."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.bundle import Bundle, hash_url
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.metrics import Metrics, measure

BATCH = 16


def was_trained_on(corpus: Corpus, bundle: Bundle) -> int:
    """How many rows come from a source that the bundle was trained on."""
    return sum(hash_url(url) in bundle.trained_urls for url in corpus.urls)


def has_out_of_fold(corpus: Corpus, bundle: Bundle) -> bool:
    """Whether every row was trained on, so that there are out-of-fold scores for it."""
    return not len(bundle.out_of_fold.scores(corpus.texts)[1])


def predict_as_built(
    texts: Sequence[str], pipeline: InProcessPipeline, on_progress: Callable[[int], None]
) -> Predictions:
    """Scores of texts by the artefacts in a model repository."""
    bert, cuml = np.empty((2, len(texts)))
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        rows = slice(start, start + len(batch))
        bert[rows], cuml[rows] = pipeline.bert(batch)[:, 0], pipeline.cuml(batch)[:, 0]
        on_progress(len(batch))
    return Predictions(bert, cuml)


def predict_out_of_fold(corpus: Corpus, bundle: Bundle) -> Predictions:
    """Scores that the rows got in the cross-validation of the bundle's training, by models without their sources.

    Raises:
        ValueError: if a row was not among those trained on.
    """
    scores, unknown = bundle.out_of_fold.scores(corpus.texts)
    refuse_unknown(unknown, len(corpus.texts))
    return Predictions(*scores)


def refuse_unknown(unknown: NDArray[np.intp], n_rows: int) -> None:
    """Raise ValueError if any of N rows, numbered from 0, has no out-of-fold scores."""
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} of {n_rows} rows, the first of them row {unknown[0] + 1}, were not trained on: "
            "there are no out-of-fold scores for them"
        )


def scorer_metrics(predictions: Predictions, corpus: Corpus, bert_weight: float) -> dict[str, Metrics]:
    """Figures of encoder, forest and blend."""
    blend = bert_weight * predictions.bert + (1 - bert_weight) * predictions.cuml
    scores = {"encoder": predictions.bert, "forest": predictions.cuml, "blend": blend}
    return {name: measure(values, corpus.targets, corpus.urls) for name, values in scores.items()}
