"""Compare the tensors that two models give for the same request."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.stages import StageError

Tensors = Mapping[str, NDArray[Any]]


class TensorComparator:
    """Of the answers to one `readability_triton.bls.twin.Request`: a row differs if it does in any output.

    Args:
        is_batched: whether the first dimension of all tensors is the batch; otherwise all is one row.
        n_rows: of the request.
    """

    def __init__(self, is_batched: bool, n_rows: int) -> None:
        self._is_batched, self._n_rows = is_batched, n_rows

    def differences(self, given: Tensors, other: Any) -> NDArray[np.float32]:
        """By row, the greatest over all outputs and elements; infinite where strings, shapes or types differ."""
        if not isinstance(other, Mapping):
            raise StageError("candidate", f"gave {type(other).__name__}; expected outputs by name")
        gaps = np.zeros(self._n_rows, np.float32)
        for name in given.keys() | other.keys():
            gaps = np.maximum(gaps, self._apart(given.get(name), other.get(name)))
        return gaps

    def described(self, batch: Any, row: int, given: Tensors, other: Tensors) -> Mapping[str, Any]:
        """The difference in each output that has one, null where it is infinite, and a digest of the inputs."""
        apart = {
            name: float(self._apart(given.get(name), other.get(name))[row]) for name in given.keys() | other.keys()
        }
        digest = hashlib.sha256()
        for name in sorted(batch.tensors):
            tensor = batch.tensors[name][row] if self._is_batched else batch.tensors[name]
            digest.update(repr(tensor.tolist()).encode())
        outputs = {name: gap if gap < np.inf else None for name, gap in sorted(apart.items()) if gap > 0}
        return {"outputs": outputs, "sha256": digest.hexdigest()[:16]}

    def _apart(self, first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[np.float32]:
        if first is None or second is None or (first.shape, first.dtype) != (second.shape, second.dtype):
            return np.full(self._n_rows, np.inf, np.float32)
        if first.dtype.kind not in "biuf":
            gaps = np.where(first == second, 0.0, np.inf)
        else:
            gaps = _gaps(first.astype(np.float64), second.astype(np.float64))
            gaps = np.where((gaps == 0) & _whole_numbers_differ(first, second), 1.0, gaps)
        rows = gaps.reshape(self._n_rows, -1) if self._is_batched else gaps.reshape(1, -1)
        greatest: NDArray[np.float32] = rows.max(axis=1, initial=0.0).astype(np.float32)
        return greatest


def _whole_numbers_differ(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Beyond 2^53 different integers become the same FP64."""
    return first != second if first.dtype.kind in "iu" else np.zeros(first.shape, bool)


def _gaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinity less infinity
        gaps = np.where((first == second) | (np.isnan(first) & np.isnan(second)), 0.0, np.abs(first - second))
    return np.where(np.isnan(gaps), np.inf, gaps)
