"""Some rows of a tensor, wherever it lies."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from readability_triton.bls.rows import take

TENSOR = np.arange(12, dtype=np.int64).reshape(4, 3)


class Lying:
    """A Triton tensor on the CPU or the GPU."""

    def __init__(self, on_cpu: bool) -> None:
        self.on_cpu = on_cpu

    def is_cpu(self) -> bool:
        return self.on_cpu

    def as_numpy(self) -> np.ndarray:
        assert self.on_cpu, "Triton refuses this for a tensor on the GPU"
        return TENSOR


@pytest.mark.parametrize("rows", [[0], [3, 1], [0, 1, 2, 3]])
@pytest.mark.parametrize("tensor", [TENSOR, Lying(on_cpu=True)], ids=["array", "tensor"])
def test_the_rows_are_copied_in_the_order_asked_for(tensor, rows: list[int]) -> None:
    taken = take(tensor, np.array(rows))
    np.testing.assert_array_equal(taken, TENSOR[rows])
    assert not np.shares_memory(taken, TENSOR)


def test_rows_of_a_tensor_on_the_gpu_stay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor, seen = Lying(on_cpu=False), []
    cupy = SimpleNamespace(from_dlpack=lambda given: seen.append(given) or TENSOR)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    np.testing.assert_array_equal(take(tensor, np.array([2])), TENSOR[2:3])
    assert seen == [tensor]
