"""How good the scores are: of what is built on new rows, or out of fold where the rows were trained on."""

from collections.abc import Callable

import numpy as np

from stages.encoder import PooledEncoder
from stages.pipeline import InProcessPipeline
from training.base_encoder import BaseEncoder
from training.bundle import Bundle, hash_url
from training.corpus import Corpus
from training.cross_validation import Predictions, best_alpha, out_of_fold_forest, out_of_fold_head
from training.head import embed
from training.metrics import Metrics, measure
from training.train import Progress

BATCH = 16


def was_trained_on(corpus: Corpus, bundle: Bundle) -> int:
    """How many rows come from a source that the bundle was trained on."""
    return sum(hash_url(url) in bundle.trained_urls for url in corpus.urls)


def predict_as_built(corpus: Corpus, pipeline: InProcessPipeline, advance: Callable[[int], None]) -> Predictions:
    """Scores of every row by the artefacts in a model repository."""
    bert, cuml = [], []
    for start in range(0, len(corpus.texts), BATCH):
        texts = corpus.texts[start : start + BATCH]
        bert.append(pipeline.bert(texts)[:, 0])
        cuml.append(pipeline.cuml(texts)[:, 0])
        advance(len(texts))
    return Predictions(np.concatenate(bert).astype(float), np.concatenate(cuml).astype(float))


def predict_out_of_fold(
    corpus: Corpus, base: BaseEncoder, layers: list[int], progress: Progress, seed: int
) -> Predictions:
    """Scores of every row by models refitted without its url, five folds."""
    encoder = PooledEncoder(base.bert, tuple(layers)).eval()
    with progress("encoding", len(corpus.texts)) as advance:
        means = embed(encoder, base.tokenizer, corpus.texts, advance)
    alpha = best_alpha(corpus, means, seed)
    with progress("cross-validating the forest", len(corpus.texts)) as advance:
        forest = out_of_fold_forest(corpus, seed, advance)
    return Predictions(out_of_fold_head(corpus, means, alpha, seed), forest)


def scorer_metrics(predictions: Predictions, corpus: Corpus, bert_weight: float) -> dict[str, Metrics]:
    """Figures of encoder, forest and blend."""
    blend = bert_weight * predictions.bert + (1 - bert_weight) * predictions.cuml
    scores = {"encoder": predictions.bert, "forest": predictions.cuml, "blend": blend}
    return {name: measure(values, corpus.targets, corpus.urls) for name, values in scores.items()}
