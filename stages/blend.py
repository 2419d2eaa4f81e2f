"""Stage `postprocess`: one score from two."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.errors import InvalidRowError


def check_weights(weights: NDArray[np.float32]) -> None:
    """Refuse blend weights that are not a share.

    Args:
        weights: FP32 [B, 1].

    Raises:
        InvalidRowError: for the first row whose weight is NaN or outside [0, 1].
    """
    bad = np.flatnonzero(~((weights >= 0) & (weights <= 1)))
    if bad.size:
        row = int(bad[0])
        raise InvalidRowError(row, f"blend weight {weights.flat[row]!s} is not in [0, 1]")


def blend(weights: Any, bert: Any, cuml: Any) -> Any:
    """``weights * bert + (1 - weights) * cuml``, all FP32 [B, 1], NumPy or CuPy alike. Higher is easier.

    Raises:
        ValueError: if the shapes differ: [B, 1] and [B] would give [B, B].
    """
    if not weights.shape == bert.shape == cuml.shape:
        shapes = ", ".join(str(list(array.shape)) for array in (weights, bert, cuml))
        raise ValueError(f"weights and scores to blend have different shapes: {shapes}")
    return weights * bert + (1 - weights) * cuml
