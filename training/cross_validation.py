"""Out-of-fold predictions of both scorers: every row is scored by models that never saw its source."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict
from readability_triton.training.corpus import Corpus
from readability_triton.training.forest import fit_forest_on_texts

N_FOLDS = 5


class Predictions(NamedTuple):
    """Scores of N rows by each scorer, FP64 [N]."""

    bert: NDArray[np.float64]
    cuml: NDArray[np.float64]


def folds(corpus: Corpus, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to fit on and rows to score, five times; no url stands on both sides."""
    splitter = GroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    return splitter.split(corpus.texts, corpus.targets, corpus.urls)


def fold_of_rows(corpus: Corpus, seed: int) -> NDArray[np.intp]:
    """The fold that scores each of N rows, INT [N]."""
    fold = np.empty(len(corpus.texts), dtype=np.intp)
    for number, (_, held_out) in enumerate(folds(corpus, seed)):
        fold[held_out] = number
    return fold


def best_epoch(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> int:
    """The epoch whose out-of-fold scores [epochs, N] have the least squared error, 0 for the first row."""
    errors = np.square(scores - targets).mean(axis=1)
    return int(np.where(np.isnan(errors), np.inf, errors).argmin())


def out_of_fold_forest(
    corpus: Corpus,
    texts: Sequence[str],
    fold: NDArray[np.integer],
    seed: int,
    on_progress: Callable[[int], None],
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Scores FP64 [J] of texts by forests that saw no row of a text's fold, vocabulary and normalisation included.

    Args:
        corpus: what the forests are fitted on.
        texts: J texts: rows, parts of rows, or texts that no row has to do with.
        fold: of each text, INT [J], by `fold_of_rows` with the same seed.
        seed: of the folds and the forests.
        on_progress: called with texts scored, as these are done.
        device: "cpu" or "cuda".
    """
    scores = np.full(len(texts), np.nan)
    for number, (fit, _) in enumerate(folds(corpus, seed)):
        known = [corpus.texts[row] for row in fit]
        spec = FeatureSpec.fit(known)
        forest = fit_forest_on_texts(known, corpus.targets[fit], spec, seed, device)
        held_out = np.flatnonzero(fold == number)
        scores[held_out] = predict(forest, extract([texts[at] for at in held_out], spec))[:, 0]
        on_progress(len(held_out))
    return scores


def best_weight(predictions: Predictions, targets: NDArray[np.float64]) -> float:
    """The share of `bert` in [0, 1] whose blend has the least squared error, to two decimals.

    `training.yardsticks.blend_weight.choose_weight` is for where texts other than rows have out-of-fold scores too.
    """
    gap = predictions.bert - predictions.cuml
    if not gap.any():
        return 1.0
    weight = gap @ (targets - predictions.cuml) / (gap @ gap)
    return round(float(np.clip(weight, 0.0, 1.0)), 2)
