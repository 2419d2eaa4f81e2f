"""Tensors as arrays, where they lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bls.stages import Tensor


def as_array(tensor: Tensor) -> Any:
    """A tensor on the CPU as an array of NumPy, one on the GPU as an array of CuPy; nothing is copied."""
    if isinstance(tensor, np.ndarray):
        return tensor
    if tensor.is_cpu():
        return tensor.as_numpy()
    import cupy  # only where a GPU is

    return cupy.from_dlpack(tensor)


def take(tensor: Tensor, rows: NDArray[np.intp]) -> Any:
    """Copy rows of a tensor [B, ...] into an array where it lies."""
    return as_array(tensor)[rows]
