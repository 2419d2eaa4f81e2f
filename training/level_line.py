"""Fit the line from scores to levels on scores by models that did not learn from the texts."""

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.cefr import LevelLine


def fit_level_line(scores: NDArray[np.float64], levels: NDArray[np.float64]) -> LevelLine:
    """Least squares; the error is measured out of sample, each half of the texts with the other's line.

    Args:
        scores: FP64 [N], out of fold.
        levels: FP64 [N], 1 for A1.

    Raises:
        ValueError: if there are fewer than four texts, or all have one score.
    """
    if len(scores) < 4 or np.ptp(scores) == 0:
        raise ValueError("a line from scores to levels needs at least four texts with different scores")
    slope, start = np.polyfit(scores, levels, 1)
    halves = np.arange(len(scores)) % 2
    errors = np.empty(len(scores))
    for half in (0, 1):
        own, other = halves == half, halves != half
        of_other = np.polyfit(scores[other], levels[other], 1)
        line = LevelLine(of_other[1], of_other[0], 0.0)
        errors[own] = [line.level(score) for score in scores[own]] - levels[own]
    return LevelLine(round(float(start), 4), round(float(slope), 4), round(float(np.sqrt(np.square(errors).mean())), 4))
