"""Out-of-fold predictions of both scorers: every row is scored by models that never saw its source."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from stages.features import FeatureSpec, extract
from stages.forest import predict
from training.corpus import Corpus
from training.forest import fit_forest
from training.head import Head

N_FOLDS = 5
ALPHAS = (300.0, 1000.0, 3000.0)


class Predictions(NamedTuple):
    """Scores of N rows by each scorer, FP64 [N]."""

    bert: NDArray[np.float64]
    cuml: NDArray[np.float64]


def folds(corpus: Corpus, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to fit on and rows to score, five times; no url stands on both sides."""
    splitter = GroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    return splitter.split(corpus.texts, corpus.targets, corpus.urls)


def out_of_fold_head(corpus: Corpus, means: NDArray[np.float32], alpha: float, seed: int) -> NDArray[np.float64]:
    """Scores [N] of the linear layer on pooled hidden states [N, F]."""
    scores = np.empty(len(corpus.texts))
    for fit, held_out in folds(corpus, seed):
        scores[held_out] = Head.fit(means[fit], corpus.targets[fit], alpha).predict(means[held_out])
    return scores


def best_alpha(corpus: Corpus, means: NDArray[np.float32], seed: int) -> float:
    """The ridge penalty with the least out-of-fold error."""
    return min(
        ALPHAS, key=lambda alpha: np.square(out_of_fold_head(corpus, means, alpha, seed) - corpus.targets).mean()
    )


def out_of_fold_forest(corpus: Corpus, seed: int, advance: Callable[[int], None]) -> NDArray[np.float64]:
    """Scores [N] of the forest; vocabulary and normalisation are fitted without the held-out rows too."""
    scores = np.empty(len(corpus.texts))
    for fit, held_out in folds(corpus, seed):
        texts = [corpus.texts[row] for row in fit]
        spec = FeatureSpec.fit(texts)
        forest = fit_forest(extract(texts, spec), corpus.targets[fit], seed)
        scores[held_out] = predict(forest, extract([corpus.texts[row] for row in held_out], spec))[:, 0]
        advance(len(held_out))
    return scores


def best_weight(predictions: Predictions, targets: NDArray[np.float64]) -> float:
    """The share of `bert` in [0, 1] whose blend has the least squared error, to two decimals."""
    gap = predictions.bert - predictions.cuml
    if not gap.any():
        return 1.0
    weight = gap @ (targets - predictions.cuml) / (gap @ gap)
    return round(float(np.clip(weight, 0.0, 1.0)), 2)
