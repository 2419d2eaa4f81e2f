"""Some rows of a tensor."""

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.stages import Tensor
from readability_triton.stages.arrays import Array, as_array


def take(tensor: Tensor, rows: NDArray[np.intp]) -> Array:
    """Copy rows of a tensor [B, ...] into an array where it lies."""
    return as_array(tensor)[rows]
