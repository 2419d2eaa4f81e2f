"""Callers of an arm: the number of a request in, its outputs by tensor name back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tritonclient.grpc
from numpy.typing import NDArray
from tritonclient.grpc import InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient

from readability_triton.client.protocol import input_tensors
from readability_triton.compare.arm import HYBRID, Arm
from readability_triton.compare.workload import Workload

if TYPE_CHECKING:
    from readability_triton.client.hybrid import HybridPipeline

Outputs = Mapping[str, NDArray[Any]]
Caller = Callable[[int], Awaitable[Outputs]]
REQUEST_TIMEOUT_S = 60.0
SCORE = "SCORE"


async def outputs_to_request(arms: Sequence[Arm], client: InferenceServerClient) -> list[str] | None:
    """`SCORE` where every arm gives it, else what every arm gives; None, for all, if they share nothing.

    Outputs that only one arm has are not requested: they would cost it time.
    """
    given = [await _outputs(arm, client) for arm in arms]
    shared = set.intersection(*given)
    return [SCORE] if SCORE in shared else sorted(shared) or None


async def _outputs(arm: Arm, client: InferenceServerClient) -> set[str]:
    if arm.model == HYBRID:
        return {SCORE}
    metadata = await client.get_model_metadata(arm.model, as_json=True)
    return {output["name"] for output in metadata.get("outputs", [])}


def make_caller(
    arm: Arm, workload: Workload, client: InferenceServerClient, repository: Path, outputs: Sequence[str] | None = None
) -> Caller:
    """A coroutine that sends the arm the workload's request of a number; tensors are written once, here.

    Args:
        arm: what to call.
        workload: the requests.
        client: a connection to the server.
        repository: where `hybrid` finds its stages.
        outputs: which tensors to ask for, None for all.

    Raises:
        OSError, ValueError: for `hybrid`, if the repository is not built.
    """
    if arm.model == HYBRID:
        from readability_triton.client.hybrid import HybridPipeline  # its stages need the extra `server`

        return _hybrid(HybridPipeline(repository, client), workload)
    requests = [input_tensors(tritonclient.grpc, inputs) for inputs in workload.requests]
    parameters = dict(arm.parameters) or None
    wanted = [InferRequestedOutput(name) for name in outputs] if outputs else None

    async def call(number: int) -> Outputs:
        answer = await client.infer(
            arm.model, requests[number], outputs=wanted, parameters=parameters, client_timeout=REQUEST_TIMEOUT_S
        )
        return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}

    return call


def _hybrid(pipeline: "HybridPipeline", workload: Workload) -> Caller:
    async def call(number: int) -> Outputs:
        inputs = workload.requests[number]
        return {SCORE: await pipeline.score(inputs["excerpt"], inputs["BERT_WEIGHT"], REQUEST_TIMEOUT_S)}

    return call
