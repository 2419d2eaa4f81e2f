"""The encoders that learn from human scores and teachers' labels: one a fold, which are measured, and those served."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from readability_triton.training.cross_validation import N_FOLDS
from readability_triton.training.fit import Progress
from readability_triton.training.multitask.compose import ComposedTexts
from readability_triton.training.multitask.fits import Fits, Plan
from readability_triton.training.multitask.labels import targets_for
from readability_triton.training.run_folder import RunFolder


@dataclass(frozen=True)
class Students:
    """What came of all students.

    Attributes:
        out_of_fold: FP64 [U], scores by the student that did not see a text's fold; NaN for texts without a fold.
        weights: of each student that saw all folds.
    """

    out_of_fold: NDArray[np.float64]
    weights: list[dict[str, Tensor]]


def fit_students(
    fits: Fits,
    texts: ComposedTexts,
    labels: NDArray[np.float64] | None,
    seeds: int,
    folder: RunFolder,
    progress: Progress,
) -> Students:
    """Fit one student without each fold, and `seeds` students on everything.

    Args:
        fits: how.
        texts: U texts.
        labels: FP64 [10, U] of the teachers; None to learn from human scores alone.
        seeds: how many see everything.
        folder: where what is done is kept.
        progress: how to show what is being done.
    """
    nothing = np.arange(0)
    folds = [
        Plan(f"student-fold-{fold + 1}-of-{N_FOLDS}", 0, (fold,), np.flatnonzero(texts.fold == fold))
        for fold in range(N_FOLDS)
    ]
    served = [Plan(f"student-all-rows-{seed + 1}-of-{seeds}", seed, (), nothing) for seed in range(seeds)]
    left_out = [*range(N_FOLDS), *[None] * seeds]
    targets = targets_for(labels, texts, left_out, fits.recipe.label_share)
    done = fits.run([*folds, *served], targets, folder, progress)
    out_of_fold = np.full(len(texts.kind), np.nan)
    for plan, fitted in zip(folds, done, strict=False):
        out_of_fold[plan.scored] = fitted.scores[plan.scored]
    return Students(out_of_fold, [fitted.weights for fitted in done[N_FOLDS:]])
