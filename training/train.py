"""Fit everything a bundle holds: the linear layer on a frozen encoder, the forest, and their blend weight."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.encoder import PooledEncoder
from stages.features import FeatureSpec, extract
from stages.forest import predict
from training.base_encoder import BaseEncoder
from training.bundle import Bundle, Facts, forest_bytes, hash_url, quantiles
from training.corpus import Corpus
from training.cross_validation import Predictions, best_alpha, best_weight, out_of_fold_forest, out_of_fold_head
from training.forest import fit_forest
from training.head import Head, embed, middle_layers

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress display with a title and a total; what it yields is told how much more is done."""


@dataclass(frozen=True)
class Trained:
    """A bundle with the out-of-fold predictions that its figures come from."""

    bundle: Bundle
    out_of_fold: Predictions
    alpha: float


def train(
    corpus: Corpus,
    base: BaseEncoder,
    layers: tuple[int, ...] | None,
    reference_texts: Sequence[str],
    progress: Progress,
    seed: int = 0,
) -> Trained:
    """Cross-validate by url, then fit on all rows.

    The encoder stays frozen. Fine-tuning belongs between `embed` and `Head.fit`: it replaces the layers of
    `PooledEncoder` and leaves everything after them as it is.

    Args:
        corpus: scored excerpts.
        base: the pretrained encoder.
        layers: which layers' outputs to average, or None for up to four in the lower two thirds.
        reference_texts: texts whose scores go into the bundle, for `build` to check itself against.
        progress: how to show what is being done.
        seed: of the folds and the forest.
    """
    encoder = PooledEncoder(base.bert, layers or middle_layers(base.bert.config.num_hidden_layers)).eval()
    with progress("encoding", len(corpus.texts) + len(reference_texts)) as advance:
        means = embed(encoder, base.tokenizer, corpus.texts, advance)
        reference_means = embed(encoder, base.tokenizer, reference_texts, advance)
    alpha = best_alpha(corpus, means, seed)
    with progress("cross-validating the forest", len(corpus.texts)) as advance:
        out_of_fold = Predictions(
            out_of_fold_head(corpus, means, alpha, seed), out_of_fold_forest(corpus, seed, advance)
        )
    head = Head.fit(means, corpus.targets, alpha)
    features = FeatureSpec.fit(corpus.texts)
    forest = fit_forest(extract(corpus.texts, features), corpus.targets, seed)
    reference = np.column_stack([head.predict(reference_means), predict(forest, extract(reference_texts, features))])
    facts = Facts(
        encoder=base.name,
        encoder_sha256=base.sha256,
        layers=sorted(encoder.pooled_layers),
        bert_weight=best_weight(out_of_fold, corpus.targets),
        quantiles=quantiles(corpus.targets),
        reference_scores=_rounded(reference),
    )
    bundle = Bundle(facts, head, forest_bytes(forest), features, frozenset(map(hash_url, corpus.urls)))
    return Trained(bundle, out_of_fold, alpha)


def _rounded(scores: NDArray[np.float64]) -> list[list[float]]:
    return [[round(float(score), 4) for score in row] for row in scores]
