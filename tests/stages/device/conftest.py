"""A stand-in for CuPy: NumPy behind CuPy's refusals, so that the lines that a GPU runs meet them without one."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin


class DeviceArray(NDArrayOperatorsMixin):
    """As an array of CuPy: goes to the host by `get` alone, and takes no array of the host into a computation."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def get(self) -> np.ndarray:
        return self._values.copy()

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return _on_device(getattr(ufunc, method))(*inputs, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._values, name)
        return _on_device(value) if callable(value) else value

    def __getitem__(self, key: Any) -> Any:
        return _wrapped(self._values[_unwrapped(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._values[_unwrapped(key)] = _unwrapped(value)

    def __len__(self) -> int:
        return len(self._values)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value._values
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return type(value)(map(_unwrapped, value)) if isinstance(value, tuple | list) else value


def _wrapped(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_wrapped, value))
    return DeviceArray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


def _on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        options = {name: _unwrapped(value) for name, value in options.items()}
        return _wrapped(function(*map(_unwrapped, arguments), **options))

    return call


class CupyStandIn(ModuleType):
    """NumPy's functions over arrays of the stand-in; where CuPy 13.6 differs, as CuPy does."""

    def __init__(self) -> None:
        super().__init__("cupy")

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        return value if isinstance(value, type) else _on_device(value)

    def asarray(self, values: Any) -> DeviceArray:
        """The one way from the host."""
        return values if isinstance(values, DeviceArray) else DeviceArray(np.array(values))

    def bincount(self, values: Any, weights: Any = None, minlength: int | None = None) -> DeviceArray:
        if not len(values):
            raise ValueError("zero-size array to reduction operation cupy_max which has no identity")
        return _on_device(np.bincount)(values, weights, minlength or 0)


@pytest.fixture(scope="session", params=[np, CupyStandIn()], ids=["numpy", "cupy's refusals"])
def xp(request: pytest.FixtureRequest) -> Any:
    """The module of arrays."""
    return request.param
