"""What a transport does: the part of the KServe v2 protocol that a client of these pipelines needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

Parameter = bool | int | float | str

CONNECT_S = 5.0
"""How long a connection may take to come about; no longer than the request may take."""


@dataclass(frozen=True)
class InferRequest:
    """An inference request.

    Attributes:
        model: the model's name.
        inputs: arrays by tensor name; object arrays of bytes are STRING tensors.
        outputs: names of the tensors wanted.
        parameters: request parameters.
        request_id: appears in the server's logs and traces.
    """

    model: str
    inputs: Mapping[str, NDArray[Any]]
    outputs: Sequence[str]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    request_id: str = ""


class Answer(Protocol):
    """Output tensors by name."""

    def as_numpy(self, name: str) -> NDArray[Any] | None:
        """The array, or None if the answer has none of that name."""


class Transport(Protocol):
    """A connection to one server, which any number of threads may share.

    All calls raise `tritonclient.utils.InferenceServerException` for an error that the server gives, `TimeoutError`
    after `timeout_s`, and `OSError` if there is no connection.
    """

    def infer(self, request: InferRequest, timeout_s: float) -> Answer:
        """Send a request and wait for its answer."""

    def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model, as JSON has it."""

    def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""

    def close(self) -> None:
        """Close all connections."""


class AsyncTransport(Protocol):
    """`Transport` with coroutines, for one event loop."""

    async def infer(self, request: InferRequest, timeout_s: float) -> Answer:
        """Send a request and wait for its answer."""

    async def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model, as JSON has it."""

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""

    async def close(self) -> None:
        """Close all connections."""
