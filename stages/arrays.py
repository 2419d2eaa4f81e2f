"""Triton's tensors as arrays where they lie: of NumPy on the host, of CuPy on a GPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any
"""An array of NumPy or of CuPy."""


def as_array(tensor: Any) -> Array:
    """A tensor of Triton's Python backend, on the host or on a GPU, as an array; an array is returned as it is."""
    if not hasattr(tensor, "is_cpu"):  # as Triton's tensors have
        return tensor
    if tensor.is_cpu():
        return tensor.as_numpy()
    import cupy  # only where a GPU is

    return cupy.from_dlpack(tensor)


def on_one_device(*arrays: Array) -> tuple[Array, ...]:
    """The arrays, all on the GPU if one of them is there."""
    if all(isinstance(array, np.ndarray) for array in arrays):
        return arrays
    import cupy  # only where a GPU is

    return tuple(cupy.asarray(array) for array in arrays)


def joined(arrays: Sequence[Array]) -> Array:
    """One array after another along the first axis, on the GPU if one of them is there; a single one is not copied."""
    if len(arrays) == 1:
        return arrays[0]
    first, *others = on_one_device(*arrays)
    if isinstance(first, np.ndarray):
        return np.concatenate([first, *others])
    import cupy  # only where a GPU is

    return cupy.concatenate([first, *others])


def to_host(array: Array) -> np.ndarray[Any, Any]:
    """The array on the host: itself, or a copy of one of CuPy."""
    on_host: np.ndarray[Any, Any] = array if isinstance(array, np.ndarray) else array.get()
    return on_host
