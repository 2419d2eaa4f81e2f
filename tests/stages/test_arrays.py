"""Arrays of the host and of a GPU that is not there: a CuPy whose arrays only say that they are on it."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from readability_triton.stages.arrays import as_array, joined, on_one_device, to_host

VALUES = np.arange(6.0).reshape(3, 2)


class OnDevice:
    """An array of CuPy, as far as these functions look at one."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def get(self) -> np.ndarray:
        return self.values


class Tensor:
    """A tensor as Triton's Python backend gives it."""

    def __init__(self, on_cpu: bool) -> None:
        self._on_cpu = on_cpu

    def is_cpu(self) -> bool:
        return self._on_cpu

    def as_numpy(self) -> np.ndarray:
        assert self._on_cpu, "Triton refuses this for a tensor on the GPU"
        return VALUES


@pytest.fixture(autouse=True)
def cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    def values(array: Any) -> np.ndarray:
        return array.values if isinstance(array, OnDevice) else array

    module = SimpleNamespace(
        from_dlpack=lambda tensor: OnDevice(VALUES),
        asarray=lambda array: array if isinstance(array, OnDevice) else OnDevice(array),
        concatenate=lambda arrays: OnDevice(np.concatenate([values(array) for array in arrays])),
    )
    monkeypatch.setitem(sys.modules, "cupy", module)


def test_a_tensor_becomes_an_array_where_it_lies() -> None:
    assert as_array(Tensor(on_cpu=True)) is VALUES
    assert as_array(VALUES) is VALUES
    assert as_array(array := OnDevice(VALUES)) is array
    on_device = as_array(Tensor(on_cpu=False))
    assert isinstance(on_device, OnDevice)


def test_arrays_on_the_host_stay_there() -> None:
    assert all(array is VALUES for array in on_one_device(VALUES, VALUES))


@pytest.mark.parametrize("place", [0, 1])
def test_one_array_on_the_gpu_takes_the_others_there(place: int) -> None:
    arrays = [VALUES, VALUES]
    arrays[place] = OnDevice(VALUES)
    found = on_one_device(*arrays)
    assert all(isinstance(array, OnDevice) for array in found)
    assert found[place] is arrays[place]


def test_a_single_array_is_not_copied() -> None:
    assert joined([VALUES]) is VALUES


def test_arrays_are_joined_in_order_wherever_they_lie() -> None:
    right = np.concatenate([VALUES, VALUES + 10])
    np.testing.assert_array_equal(joined([VALUES, VALUES + 10]), right)
    mixed = joined([VALUES, OnDevice(VALUES + 10)])
    assert isinstance(mixed, OnDevice)
    np.testing.assert_array_equal(to_host(mixed), right)


def test_what_is_on_the_host_needs_no_copy() -> None:
    assert to_host(VALUES) is VALUES
