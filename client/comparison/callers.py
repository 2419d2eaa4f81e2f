"""How an arm is asked: a request by its number in, its outputs by tensor name back."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import np_to_triton_dtype

from client.comparison.arm import HYBRID, Arm
from client.comparison.workload import Inputs, Workload
from client.hybrid import HybridPipeline

Outputs = Mapping[str, NDArray[Any]]
Caller = Callable[[int], Awaitable[Outputs]]
REQUEST_TIMEOUT_S = 60.0


def make_caller(arm: Arm, workload: Workload, client: InferenceServerClient, repository: Path) -> Caller:
    """A coroutine that sends the arm the workload's request of a number; tensors are written once, here.

    Raises:
        OSError, ValueError: for `hybrid`, if the repository is not built.
    """
    if arm.model == HYBRID:
        return _hybrid(HybridPipeline(repository, client), workload)
    requests = [_tensors(inputs) for inputs in workload.requests]
    parameters = dict(arm.parameters) or None

    async def call(number: int) -> Outputs:
        answer = await client.infer(
            arm.model, requests[number], parameters=parameters, client_timeout=REQUEST_TIMEOUT_S
        )
        return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}

    return call


def _hybrid(pipeline: HybridPipeline, workload: Workload) -> Caller:
    async def call(number: int) -> Outputs:
        inputs = workload.requests[number]
        return {"SCORE": await pipeline.score(inputs["excerpt"], inputs["BERT_WEIGHT"], REQUEST_TIMEOUT_S)}

    return call


def _tensors(inputs: Inputs) -> list[InferInput]:
    tensors = []
    for name, array in inputs.items():
        datatype = "BYTES" if array.dtype == np.object_ else np_to_triton_dtype(array.dtype)
        tensor = InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors
