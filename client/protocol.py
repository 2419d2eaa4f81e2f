"""What HTTP and gRPC have in common, and where they differ: addresses, tensors, errors."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from client.errors import (
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerUnreachableError,
)

DEFAULT_URL = "grpc://localhost:8001"

_ROW = re.compile(r"row (\d+): (.*)", re.DOTALL)
_REFUSED = {"StatusCode.INVALID_ARGUMENT", "400"}
_UNAVAILABLE = {"StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND", "404", "503"}
_LATE = {"StatusCode.DEADLINE_EXCEEDED", "499", "504"}
_UNREACHABLE = re.compile(
    r"failed to connect|connection refused|socket closed|dns resolution|errors resolving|connection reset", re.I
)
_UNHEALTHY = re.compile(r"stub process .* is not healthy|is not ready|unknown model", re.I)


class Address(NamedTuple):
    """A Triton endpoint.

    Attributes:
        scheme: `grpc` or `http`.
        location: host and port.
    """

    scheme: str
    location: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `grpc://host:port`, `http://host:port`, or `host:port`, which means gRPC.

        Raises:
            ValueError: for any other scheme or an empty location.
        """
        scheme, separator, location = url.rpartition("://")
        scheme = scheme if separator else "grpc"
        location = location.rstrip("/")
        if scheme not in ("grpc", "http") or not location or "/" in location:
            raise ValueError(f"{url!r} is not grpc://HOST:PORT or http://HOST:PORT")
        return cls(scheme, location)


class Batch(NamedTuple):
    """Part of a call that goes to the server in one request.

    Attributes:
        start: row of its first text in the whole call.
        excerpts: object array [B, 1] of UTF-8 bytes.
        weights: FP32 [B, 1].
    """

    start: int
    excerpts: NDArray[Any]
    weights: NDArray[np.float32]


def batches(texts: Sequence[str | bytes], weights: float | Sequence[float], size: int) -> list[Batch]:
    """Cut texts and their weights, one for all or one each, into requests of at most `size` rows.

    Raises:
        ValueError: if there are not as many weights as texts.
        InvalidRequestError: if a text holds half a surrogate pair.
    """
    rows = np.array([_encoded(row, text) for row, text in enumerate(texts)], dtype=object).reshape(-1, 1)
    shares = np.asarray(weights, dtype=np.float32)
    if shares.ndim and shares.shape != (len(rows),):
        raise ValueError(f"{len(rows)} texts but {shares.size} weights")
    shares = np.ascontiguousarray(np.broadcast_to(shares, len(rows)).reshape(-1, 1))
    return [Batch(at, rows[at : at + size], shares[at : at + size]) for at in range(0, len(rows), size)]


def check_batch_size(size: int) -> None:
    """Raise `ValueError` for a batch size below 1."""
    if size < 1:
        raise ValueError(f"a batch has at least one row, not {size}")


def _encoded(row: int, text: str | bytes) -> bytes:
    try:
        return text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise InvalidRequestError(f"text cannot be written as UTF-8: {error.reason} at {error.start}", row) from error


def infer_inputs(library: Any, batch: Batch) -> list[Any]:
    """The request's tensors, as the `tritonclient` module `library` wants them."""
    inputs = []
    for name, array, datatype in (("excerpt", batch.excerpts, "BYTES"), ("BERT_WEIGHT", batch.weights, "FP32")):
        tensor = library.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def translate(error: Exception, first_row: int = 0, url: str = DEFAULT_URL) -> ReadabilityError:
    """The typed error for what `tritonclient` raised on a request whose first text is row `first_row` of the call."""
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(f"no answer from {url} in time")
    if not isinstance(error, InferenceServerException):
        return ServerUnreachableError(f"no server at {url}: {error}")
    status, message = error.status(), error.message()
    if status in _LATE:
        return RequestTimeoutError(f"no answer from {url} in time: {message}")
    if _UNREACHABLE.search(message):
        return ServerUnreachableError(f"no server at {url}: {message}")
    if status in _UNAVAILABLE or _UNHEALTHY.search(message):
        return ModelUnavailableError(message)
    if status in _REFUSED:
        match = _ROW.search(message)
        return InvalidRequestError(match[2], int(match[1]) + first_row) if match else InvalidRequestError(message)
    return InferenceError(message)


def may_fall_back(error: ReadabilityError) -> bool:
    """Whether another pipeline on the same server may still answer."""
    return isinstance(error, ModelUnavailableError | ServerUnreachableError)
