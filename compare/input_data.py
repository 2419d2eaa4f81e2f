"""Requests for any model, from a file in the format of Triton's perf_analyzer (`--input-data`)."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import triton_to_np_dtype

from readability_triton.compare.workload import Inputs, Workload


def read_input_data(path: Path, inputs: Sequence[Mapping[str, Any]]) -> Workload:
    """Read `{"data": [{"NAME": [values] or {"content": [values], "shape": [dims]} or {"b64": "…"}}, …]}`.

    Args:
        path: the file.
        inputs: name, datatype and shape of each input, as the model's metadata has them; dimensions that vary (-1)
            must be given in the file, but for one, which is found from the number of values.

    Raises:
        ValueError: if the file is not of that format or does not fit the inputs.
        OSError: if it cannot be read.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["data"]
        requests = [_request(entry, inputs) for entry in entries]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not input data as perf_analyzer reads it: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not requests:
        raise ValueError(f"{path} has no request")
    return Workload(requests, None, path.name)


def _request(entry: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> Inputs:
    missing = [tensor["name"] for tensor in inputs if tensor["name"] not in entry]
    if missing:
        raise ValueError(f"a request has no input {', '.join(missing)}")
    return {tensor["name"]: _array(entry[tensor["name"]], tensor) for tensor in inputs}


def _array(given: Any, tensor: Mapping[str, Any]) -> NDArray[Any]:
    shape = [int(size) for size in tensor["shape"]]
    if isinstance(given, dict):
        shape = given.get("shape", shape)
        given = given["content"] if "content" in given else base64.b64decode(given["b64"], validate=True)
    if shape.count(-1) > 1:  # the batch, and then dimensions without a value
        shape = [1, *shape[1:]]
    if isinstance(given, bytes):
        return np.frombuffer(given, triton_to_np_dtype(tensor["datatype"])).reshape(shape)
    if tensor["datatype"] == "BYTES":
        return np.array([str(value).encode() for value in given], dtype=object).reshape(shape)
    return np.array(given, dtype=triton_to_np_dtype(tensor["datatype"])).reshape(shape)
