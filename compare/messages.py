"""Requests and answers as gRPC carries them: a request is serialised once, however often it is sent."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferResult, service_pb2
from tritonclient.utils import (
    TRITON_RESERVED_REQUEST_PARAMS,
    TRITON_RESERVED_REQUEST_PARAMS_PREFIX,
    np_to_triton_dtype,
    serialize_byte_tensor,
)

from readability_triton.compare.arm import Arm, Parameter
from readability_triton.compare.workload import Inputs, Outputs

INFER = "/inference.GRPCInferenceService/ModelInfer"
"""The method of Triton's gRPC service that takes these requests."""

_FIELDS = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}


def serialise_request(arm: Arm, inputs: Inputs, outputs: Sequence[str] | None = None) -> bytes:
    """The `ModelInferRequest` that `tritonclient` would send.

    Args:
        arm: model and request parameters.
        inputs: arrays by tensor name; object arrays of bytes are STRING tensors.
        outputs: names of the tensors wanted; None for all.

    Raises:
        ValueError: for a request parameter whose name Triton reserves.
    """
    request = service_pb2.ModelInferRequest(model_name=arm.model)
    for name, array in inputs.items():
        datatype = np_to_triton_dtype(array.dtype)
        request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(_strings(array) if datatype == "BYTES" else array.tobytes())
    for name in outputs or ():
        request.outputs.add(name=name)
    _set_parameters(request.parameters, arm.parameters)
    message: bytes = request.SerializeToString()
    return message


def _strings(array: NDArray[Any]) -> bytes:
    serialised = serialize_byte_tensor(array)
    return bytes(serialised.item()) if serialised.size else b""


def _set_parameters(
    target: "Mapping[str, service_pb2.InferParameter]", parameters: Sequence[tuple[str, Parameter]]
) -> None:
    for name, value in parameters:
        if name in TRITON_RESERVED_REQUEST_PARAMS or name.startswith(TRITON_RESERVED_REQUEST_PARAMS_PREFIX):
            raise ValueError(f"request parameter {name!r} is reserved by Triton and cannot be sent as one")
        setattr(target[name], _FIELDS[type(value)], value)


def read_outputs(answer: bytes) -> Outputs:
    """The arrays of a serialised `ModelInferResponse`, by tensor name.

    Raises:
        ValueError: if it is none, or an output does not have the bytes that its shape and type need.
    """
    try:
        result = InferResult(service_pb2.ModelInferResponse.FromString(answer))
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}
    except Exception as error:  # protobuf's, NumPy's and tritonclient's have no base class in common
        raise ValueError(f"an answer of {len(answer)} bytes cannot be read: {error}") from error


def serialise_outputs(outputs: Outputs) -> bytes:
    """The same the other way round, for numbers: what a server that computed `outputs` would answer."""
    answer = service_pb2.ModelInferResponse()
    for name, array in outputs.items():
        answer.outputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        answer.raw_output_contents.append(np.ascontiguousarray(array).tobytes())
    message: bytes = answer.SerializeToString()
    return message
