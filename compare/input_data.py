"""Requests for any model, from a file in the format of Triton's perf_analyzer (`--input-data`)."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig, ModelInput
from tritonclient.utils import deserialize_bytes_tensor, triton_to_np_dtype

from readability_triton.compare.workload import Inputs, Workload

MODEL = "model"
"""perf_analyzer allows this member in a request besides the inputs; it does not matter here."""


def read_input_data(path: Path, model: ModelConfig) -> Workload:
    """Read `{"data": [{"NAME": VALUES}, …]}`, each member of `data` a request, or a list of them: a stream.

    VALUES are a flat list in row-major order, `{"content": [values], "shape": [dims]}`, `{"b64": "…", "shape": [dims]}`
    or `{"content": {"b64": "…"}, "shape": [dims]}`; the shape may be left out where the model's has no dimension that
    varies, or one. In base64, a string is its length in four bytes, little-endian, and the bytes.

    Of a model that batches, a shape has no batch dimension, as perf_analyzer has it: the request is one row. With that
    dimension, which perf_analyzer does not take, a request may have several rows. Without a shape, as many rows as
    there are values for. `validation_data` is not read.

    Args:
        path: the file.
        model: the configuration that the server gives.

    Raises:
        ValueError: if the file is not of that format or does not fit the model.
        OSError: if it cannot be read.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["data"]
        requests = [_request(number, entry, model) for number, entry in enumerate(_flat(entries))]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not input data as perf_analyzer reads it: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not requests:
        raise ValueError(f"{path} has no request")
    return Workload(requests, None, path.name)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _request(number: int, entry: Mapping[str, Any], model: ModelConfig) -> Inputs:
    missing = [tensor.name for tensor in model.input if tensor.name not in entry and not tensor.optional]
    if missing:
        raise ValueError(f"request {number} has no input {', '.join(missing)}")
    known = {tensor.name for tensor in model.input} | {MODEL}
    if unknown := [name for name in entry if name not in known]:
        raise ValueError(f"request {number}: {model.name} has no input {', '.join(unknown)}")
    try:
        return {
            tensor.name: _array(entry[tensor.name], tensor, model.max_batch_size > 0)
            for tensor in model.input
            if tensor.name in entry
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"request {number}: {error}") from error


def _array(given: Any, tensor: ModelInput, is_batched: bool) -> NDArray[Any]:
    shape, content = None, given
    if isinstance(given, dict):
        shape, content = given.get("shape"), given.get("content", given)
    try:
        values = _decoded(content["b64"], tensor) if isinstance(content, dict) else _listed(content, tensor)
        return values.reshape(_shape(shape, len(values), tensor, is_batched))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"input {tensor.name}: {reason}") from error


def _datatype(tensor: ModelInput) -> str:
    name: str = DataType.Name(tensor.data_type).removeprefix("TYPE_")
    return "BYTES" if name == "STRING" else name


def _dtype(tensor: ModelInput) -> "np.dtype[Any]":
    if tensor.data_type == DataType.TYPE_BF16:
        raise ValueError("NumPy has no BF16")
    return np.dtype(triton_to_np_dtype(_datatype(tensor)))


def _decoded(encoded: str, tensor: ModelInput) -> NDArray[Any]:
    raw = base64.b64decode(encoded, validate=True)
    if tensor.data_type != DataType.TYPE_STRING:
        return np.frombuffer(raw, _dtype(tensor).newbyteorder("<"))
    try:
        strings: NDArray[Any] = deserialize_bytes_tensor(raw)
    except Exception as error:  # of `struct`
        raise ValueError(f"not strings, each after its length: {error}") from error
    if sum(4 + len(string) for string in strings) != len(raw):
        raise ValueError("not strings, each after its length")
    return strings


def _listed(values: Any, tensor: ModelInput) -> NDArray[Any]:
    if not isinstance(values, list):
        raise ValueError(f"expected a list of values, an object with content or one with b64, not {values!r:.50}")
    flat = list(_flat(values))
    if tensor.data_type == DataType.TYPE_STRING:
        if wrong := [value for value in flat if not isinstance(value, str)]:
            raise ValueError(f"{wrong[0]!r:.50} is no string")
        return np.array([value.encode() for value in flat], dtype=object)
    dtype = _dtype(tensor)
    if wrong := [value for value in flat if not _fits(value, dtype)]:
        raise ValueError(f"{wrong[0]!r:.50} is no {_datatype(tensor)}")
    return np.array(flat, dtype=dtype)


def _fits(value: Any, dtype: "np.dtype[Any]") -> bool:
    if dtype.kind == "b":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return dtype.kind == "f" or (isinstance(value, int) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)


def _shape(given: Any, n_values: int, tensor: ModelInput, is_batched: bool) -> list[int]:
    """The shape of a request's tensor, with the batch."""
    declared = [*([-1] if is_batched else []), *tensor.dims]
    if given is None:
        shape = [1, *tensor.dims] if declared.count(-1) > 1 and is_batched else declared
    elif is_batched and len(given) == len(tensor.dims):
        shape = [1, *given]
    else:
        shape = list(given)
    fits = len(shape) == len(declared) and all(own in (-1, size) for size, own in zip(shape, declared, strict=True))
    if not fits or shape.count(-1) > 1:
        raise ValueError(f"shape {given or 'is missing, which'} does not fit the model's {declared}; -1 is any size")
    if -1 in shape:
        others = prod(size for size in shape if size != -1)
        shape[shape.index(-1)] = n_values // others if others else 0
    if prod(shape) != n_values:
        raise ValueError(f"{n_values} values do not fit the shape {shape}")
    return shape
