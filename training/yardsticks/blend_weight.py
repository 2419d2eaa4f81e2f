"""Choose the blend weight by all yardsticks together."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from readability_triton.training.yardsticks.figure import Figure

LOWER_IS_BETTER = ("RMSE", "openings")
NOT_WEIGHED = ("sensitivity",)
"""Of edited texts nobody said how much harder they are."""


def cost(figures: Sequence[Figure]) -> NDArray[np.float64]:
    """What each of W weights costs, FP64 [W]: 0 for one that is best by every yardstick.

    An error counts by how much it exceeds the least, as a share of it; a share in order or a rank correlation by how
    far it falls short of the greatest. Figures of one kind are averaged, then the kinds: RMSE, openings, pairs, levels.

    Raises:
        ValueError: if there is no figure to weigh.
    """
    by_kind: defaultdict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for figure in figures:
        if figure.kind in NOT_WEIGHED or np.isnan(figure.values).any():
            continue
        values = figure.values
        lower = figure.kind in LOWER_IS_BETTER
        by_kind[figure.kind].append(values / values.min() - 1 if lower else values.max() - values)
    if not by_kind:
        raise ValueError("there is no figure to choose a blend weight by")
    return np.mean([np.mean(each, axis=0) for each in by_kind.values()], axis=0)
