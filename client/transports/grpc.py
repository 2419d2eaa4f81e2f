"""gRPC, by `tritonclient`: a channel, which threads may share, opened at the first request.

gRPC does not survive a fork in which its threads run: what a child then sends may hang, and may take answers that are
its parent's. So a process that was forked after gRPC was used is refused at once.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import grpc
import tritonclient.grpc
import tritonclient.grpc.aio

from readability_triton.client.access import Access
from readability_triton.client.errors import ForkedProcessError
from readability_triton.client.protocol import input_tensors
from readability_triton.client.transports.transport import Answer, InferRequest

_first_used_by: int | None = None
"""The process in which this module opened its first channel."""


def _check_not_forked() -> None:
    """Raise `ForkedProcessError` in a process forked from one in which gRPC was used."""
    global _first_used_by
    if _first_used_by is None:
        _first_used_by = os.getpid()
    elif _first_used_by != os.getpid():
        raise ForkedProcessError(
            f"gRPC was used in process {_first_used_by} before it forked this one, and works in it no longer: use "
            "http://, or start workers by `spawn` or `forkserver`, or send no request before the fork"
        )


CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", tritonclient.grpc.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.max_receive_message_length", tritonclient.grpc.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),  # by default two minutes, in which a server that is back has no requests
)


class _Channel:
    """What both kinds of transport have: how the client of `tritonclient` is made, and what goes with every call."""

    MAKE_CLIENT: ClassVar[Callable[..., Any]]

    def __init__(self, location: str, is_secure: bool, access: Access) -> None:
        self._headers = access.sent_headers()
        self._compression = access.compression
        self._location = location
        self._pem = access.pem() if is_secure else None
        self._client: Any = None
        self._opening = threading.Lock()

    def _opened(self) -> Any:
        _check_not_forked()
        with self._opening:
            if self._client is None:
                credentials = None if self._pem is None else grpc.ssl_channel_credentials(*self._pem)
                make = type(self).MAKE_CLIENT
                self._client = make(self._location, creds=credentials, channel_args=CHANNEL_OPTIONS)
            return self._client

    def _infer_arguments(self, request: InferRequest, timeout_s: float) -> dict[str, Any]:
        return {
            "model_name": request.model,
            "inputs": input_tensors(tritonclient.grpc, request.inputs),
            "outputs": [tritonclient.grpc.InferRequestedOutput(name) for name in request.outputs],
            "request_id": request.request_id,
            "parameters": dict(request.parameters) or None,
            "client_timeout": timeout_s,
            "headers": self._headers,
            "compression_algorithm": self._compression,
        }

    def _call_arguments(self, timeout_s: float) -> dict[str, Any]:
        return {"headers": self._headers, "client_timeout": timeout_s}


class GrpcTransport(_Channel):
    """`readability_triton.client.transports.transport.Transport`.

    Args:
        location: host and port.
        is_secure: whether to use TLS.
        access: certificates, headers, compression.

    Raises:
        OSError: if a certificate cannot be read.
        ForkedProcessError: by every call in a process forked after gRPC was used.
    """

    MAKE_CLIENT: ClassVar = tritonclient.grpc.InferenceServerClient

    def infer(self, request: InferRequest, timeout_s: float) -> Answer:
        """Send a request and wait for its answer."""
        answer: Answer = self._opened().infer(**self._infer_arguments(request, timeout_s))
        return answer

    def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model."""
        config: Mapping[str, Any] = self._opened().get_model_config(
            model, as_json=True, **self._call_arguments(timeout_s)
        )
        return config["config"]

    def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""
        return bool(self._opened().is_server_ready(**self._call_arguments(timeout_s)))

    def close(self) -> None:
        """Close the channel."""
        if self._client is not None and _first_used_by == os.getpid():
            self._client.close()
            self._client = None


class AsyncGrpcTransport(_Channel):
    """`GrpcTransport` with coroutines: `readability_triton.client.transports.transport.AsyncTransport`."""

    MAKE_CLIENT: ClassVar = tritonclient.grpc.aio.InferenceServerClient

    async def infer(self, request: InferRequest, timeout_s: float) -> Answer:
        """Send a request and wait for its answer."""
        answer: Answer = await self._opened().infer(**self._infer_arguments(request, timeout_s))
        return answer

    async def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model."""
        config: Mapping[str, Any] = await self._opened().get_model_config(
            model, as_json=True, **self._call_arguments(timeout_s)
        )
        return config["config"]

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""
        return bool(await self._opened().is_server_ready(**self._call_arguments(timeout_s)))

    async def close(self) -> None:
        """Close the channel."""
        if self._client is not None and _first_used_by == os.getpid():
            await self._client.close()
            self._client = None
