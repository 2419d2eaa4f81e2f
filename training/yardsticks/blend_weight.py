"""Choose the blend weight by all yardsticks together."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from readability_triton.training.bundle import OutOfFold
from readability_triton.training.corpus import Corpus
from readability_triton.training.metrics import rmse
from readability_triton.training.yardsticks.figure import Figure
from readability_triton.training.yardsticks.measure import Yardstick, measure, score_out_of_fold

WEIGHTS = np.linspace(0, 1, 101).round(2)
"""Of the encoder, that are tried for the blend."""

LOWER_IS_BETTER = ("RMSE", "openings")
NOT_WEIGHED = ("sensitivity",)
"""Of edited texts nobody said how much harder they are."""


def choose_weight(known: OutOfFold, corpus: Corpus, yardsticks: Sequence[Yardstick]) -> float:
    """The encoder's weight that costs least by RMSE and by the yardsticks whose texts all have out-of-fold scores.

    Raises:
        UnknownTextError: if a row of the corpus has no out-of-fold scores.
    """
    score = score_out_of_fold(known, WEIGHTS.tolist())
    errors = np.array([rmse(each, corpus.targets) for each in score(corpus.texts)])
    figures = [Figure("RMSE", len(corpus.texts), errors, "RMSE"), *measure(yardsticks, None, score)]
    return float(WEIGHTS[cost(figures).argmin()])


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
