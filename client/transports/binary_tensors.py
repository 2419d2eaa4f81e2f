"""KServe v2 over HTTP with the binary tensor data extension: bodies of requests and answers.

A body is a JSON header, then the bytes of the tensors in the header's order. The HTTP header
`Inference-Header-Content-Length` says where the JSON ends. Source:
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import gzip
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import (
    TRITON_RESERVED_REQUEST_PARAMS,
    TRITON_RESERVED_REQUEST_PARAMS_PREFIX,
    InferenceServerException,
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from readability_triton.client.access import Compression
from readability_triton.client.transports.transport import InferRequest

JSON_LENGTH = "Inference-Header-Content-Length"

_COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, compresslevel=1),
    "deflate": lambda body: zlib.compress(body, level=1),
}
_SHOWN = 300
"""Characters of an error page that a message repeats."""


def encode(request: InferRequest, compression: Compression | None = None) -> tuple[bytes, dict[str, str]]:
    """Body and HTTP headers of a request.

    Raises:
        InferenceServerException: for a parameter with a name that Triton keeps for itself.
    """
    inputs, blobs = [], []
    for name, array in request.inputs.items():
        blob = serialize_byte_tensor(array).item() if array.dtype == np.object_ else array.tobytes()
        inputs.append(
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": np_to_triton_dtype(array.dtype),
                "parameters": {"binary_data_size": len(blob)},
            }
        )
        blobs.append(blob)
    header: dict[str, Any] = {"id": request.request_id} if request.request_id else {}
    header["inputs"] = inputs
    header["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in request.outputs]
    if request.parameters:
        for name in request.parameters:  # refused over gRPC too, by tritonclient
            if name in TRITON_RESERVED_REQUEST_PARAMS or name.startswith(TRITON_RESERVED_REQUEST_PARAMS_PREFIX):
                raise InferenceServerException(f"parameter {name!r} is one that Triton keeps for itself", "400")
        header["parameters"] = dict(request.parameters)
    text = json.dumps(header).encode()
    body = b"".join((text, *blobs))
    headers = {JSON_LENGTH: str(len(text)), "Content-Type": "application/octet-stream"}
    if compression is None:
        return body, headers
    return _COMPRESS[compression](body), headers | {"Content-Encoding": compression, "Accept-Encoding": compression}


class BinaryAnswer:
    """Output tensors of an answer, `readability_triton.client.transports.transport.Answer`.

    Args:
        body: as received, decompressed.
        json_length: the length of its JSON header; None if the whole body is JSON.

    Raises:
        InferenceServerException: if the body is not as the extension says.
    """

    def __init__(self, body: bytes, json_length: int | None) -> None:
        try:
            header = json.loads(body[:json_length])
            at = len(body) if json_length is None else json_length
            self._outputs: dict[str, NDArray[Any]] = {}
            for output in header["outputs"]:
                size = output.get("parameters", {}).get("binary_data_size")
                if size is not None and at + size > len(body):
                    raise ValueError(f"{output['name']} should have {size} bytes, {len(body) - at} are there")
                self._outputs[output["name"]] = _array(output, None if size is None else body[at : at + size])
                at += size or 0
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise InferenceServerException(f"the server's answer is not KServe v2: {error}") from error

    def as_numpy(self, name: str) -> NDArray[Any] | None:
        """The array, or None if the answer has none of that name."""
        return self._outputs.get(name)


def _array(output: Mapping[str, Any], blob: bytes | None) -> NDArray[Any]:
    dtype, shape = output["datatype"], output["shape"]
    if blob is None:
        values = [str(each).encode() for each in output["data"]] if dtype == "BYTES" else output["data"]
        array = np.array(values, dtype=triton_to_np_dtype(dtype))
    elif dtype == "BYTES":
        array = deserialize_bytes_tensor(blob)
    else:
        array = np.frombuffer(blob, dtype=triton_to_np_dtype(dtype))
    return array.reshape(shape)


def check_status(status: int, body: bytes) -> None:
    """Raise `InferenceServerException`, with Triton's message or a gateway's page, for any status but 200."""
    if status == HTTPStatus.OK:
        return
    try:
        message = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        text = body.decode("utf-8", "replace").strip()
        reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unknown status"
        message = f"HTTP {status} {reason}" + (f": {text[:_SHOWN]}" if text else "")
    raise InferenceServerException(message, str(status))


def read_config(body: bytes) -> Mapping[str, Any]:
    """A model's configuration.

    Raises:
        InferenceServerException: if the body is something else.
    """
    try:
        config = json.loads(body)
    except ValueError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("name"), str):
        shown = body[:_SHOWN].decode("utf-8", "replace")
        raise InferenceServerException(f"not a model configuration, so perhaps not a Triton server: {shown!r}")
    return config


def json_length(value: str | None) -> int | None:
    """What an answer's header `JSON_LENGTH` says; None if it has none.

    Raises:
        InferenceServerException: if that is no number.
    """
    if value is None:
        return None
    if not value.isdecimal():
        raise InferenceServerException(f"the server's answer is not KServe v2: {JSON_LENGTH} is {value!r}")
    return int(value)
