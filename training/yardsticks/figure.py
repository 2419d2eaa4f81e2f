"""One figure of a yardstick, for each scorer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Score = Callable[[Sequence[str]], NDArray[np.float64]]
"""Scores FP64 [S, N] of N texts by S scorers, higher is easier."""


@dataclass(frozen=True)
class Figure:
    """What one yardstick says of each scorer.

    Attributes:
        name: the yardstick and what it was measured on.
        n: how many texts, or pairs of texts, it was measured on.
        values: FP64 [S], one a scorer; NaN where it is not defined.
        kind: the yardstick, "RMSE", "openings", "pairs", "levels" or "sensitivity"; of the first two, lower is better.
    """

    name: str
    n: int
    values: NDArray[np.float64]
    kind: str
