"""Callers of an arm: the number of a request in, the server's answer back, as the bytes that came."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.compare.arm import HYBRID, Arm
from readability_triton.compare.connection import open_channel, open_client
from readability_triton.compare.messages import INFER, serialise_outputs, serialise_request
from readability_triton.compare.workload import Inputs, Workload

Caller = Callable[[int], Awaitable[bytes]]
REQUEST_TIMEOUT_S = 60.0
SCORE = "SCORE"

_COMPRESSION = {None: None, "gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}


@dataclass(frozen=True)
class Served:
    """Requests for a model on the server, each serialised."""

    requests: Sequence[bytes]


@dataclass(frozen=True)
class Hybrid:
    """Requests for the pipeline whose stages run at the client; `repository` has its tokenizer and features."""

    repository: Path
    requests: Sequence[Inputs]


Target = Served | Hybrid
"""What to send to one arm, as it can be handed to another process."""


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


def make_target(arm: Arm, workload: Workload, repository: Path, outputs: Sequence[str] | None = None) -> Target:
    """Serialise the workload's requests for an arm.

    Args:
        arm: what to call.
        workload: the requests.
        repository: where `hybrid` finds its stages.
        outputs: which tensors to ask for, None for all.

    Raises:
        ValueError: see `serialise_request`.
    """
    if arm.model == HYBRID:
        return Hybrid(repository, workload.requests)
    return Served([serialise_request(arm, inputs, outputs) for inputs in workload.requests])


class Callers:
    """A caller for each target, over one connection; a context manager.

    Args:
        targets: what to send.
        url: the server's gRPC address.
        access: certificates, headers, a token, compression.

    Raises:
        ValueError, OSError: see `open_channel`; for `hybrid`, also if the repository is not built.
    """

    def __init__(self, targets: Sequence[Target], url: str, access: Access) -> None:
        self._targets, self._url, self._access = targets, url, access
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> list[Caller]:
        channel = await self._stack.enter_async_context(open_channel(self._url, self._access))
        client = await self._stack.enter_async_context(open_client(self._url, self._access))
        return [
            _served(target, channel, self._access) if isinstance(target, Served) else _hybrid(target, client)
            for target in self._targets
        ]

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def _served(target: Served, channel: grpc.aio.Channel, access: Access) -> Caller:
    # Without serializers the bytes are sent as they are, and given back as they came.
    infer = channel.unary_unary(INFER)
    metadata = tuple(access.sent_headers().items())
    compression = _COMPRESSION[access.compression]

    async def call(number: int) -> bytes:
        try:
            answer: bytes = await infer(
                target.requests[number], timeout=REQUEST_TIMEOUT_S, metadata=metadata, compression=compression
            )
        except grpc.RpcError as error:
            raise InferenceServerException(error.details(), str(error.code())) from None
        return answer

    return call


def _hybrid(target: Hybrid, client: InferenceServerClient) -> Caller:
    from readability_triton.client.hybrid import HybridPipeline  # its stages need the extra `server`

    pipeline = HybridPipeline(target.repository, client)

    async def call(number: int) -> bytes:
        inputs = target.requests[number]
        scores = await pipeline.score(inputs["excerpt"], inputs["BERT_WEIGHT"], REQUEST_TIMEOUT_S)
        return serialise_outputs({SCORE: scores})

    return call
