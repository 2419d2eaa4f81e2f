"""Labels by teachers that have seen neither a text nor, where it matters, the fold that a student is measured on.

Of five folds there are ten pairs, and so ten teachers: each is fitted without two folds and labels these. A student
that is measured on fold i takes for a text of fold j the label of the teacher without i and j: neither the student's
yardstick nor the text's own score is in it. The student that is shipped takes the mean of the four teachers without j.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from readability_triton.training.cross_validation import N_FOLDS
from readability_triton.training.multitask.compose import ComposedTexts

FOLD_PAIRS = tuple(combinations(range(N_FOLDS), 2))
"""What each teacher does not see."""


def labelled_by(texts: ComposedTexts) -> list[NDArray[np.int64]]:
    """The texts that each teacher labels: those of its two folds, and those without a fold."""
    return [np.flatnonzero(np.isin(texts.fold, (*pair, -1))) for pair in FOLD_PAIRS]


def labels_for(labels: NDArray[np.float64], texts: ComposedTexts, fold: int | None) -> NDArray[np.float64]:
    """Labels FP64 [U] for a student that must not see `fold`, or for the one that sees all; NaN for none.

    Args:
        labels: FP64 [10, U] of each teacher, NaN for what it has seen.
        texts: U texts.
        fold: of the student's yardstick.
    """
    if fold is None:
        return _mean(labels)
    chosen = np.full(labels.shape[1], np.nan)
    blind = [teacher for teacher, pair in enumerate(FOLD_PAIRS) if fold in pair]
    for teacher in blind:
        (other,) = set(FOLD_PAIRS[teacher]) - {fold}
        rows = texts.fold == other
        chosen[rows] = labels[teacher, rows]
    free = texts.fold < 0
    chosen[free] = _mean(labels[blind])[free]
    return chosen


def targets_for(
    labels: NDArray[np.float64] | None, texts: ComposedTexts, left_out: Sequence[int | None], share: float
) -> NDArray[np.float64]:
    """What each of K students learns of each text: label and human score mixed, or whichever there is; FP64 [K, U].

    Args:
        labels: of the teachers; None for none.
        texts: U texts.
        left_out: the fold that each student must not see.
        share: of the label where there are both.
    """
    if labels is None:
        return np.tile(texts.target, (len(left_out), 1))
    said = np.stack([labels_for(labels, texts, fold) for fold in left_out])
    mixed = share * said + (1 - share) * texts.target
    return np.where(np.isfinite(mixed), mixed, np.where(np.isfinite(said), said, texts.target))


def _mean(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(labels)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, labels, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)
