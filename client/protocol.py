"""What HTTP and gRPC have in common, and where they differ: addresses, tensors, errors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from readability_triton.client import calibration
from readability_triton.client.errors import (
    AccessDeniedError,
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.scores import Details, Scores
from readability_triton.client.served_model import FLAGS, ROUTING, ServedModel
from readability_triton.client.transports.transport import Answer, InferRequest, Parameter

DEFAULT_URL = "grpc://localhost:8001"

DETAILS = ("BERT_SCORE", "CUML_SCORE", *ROUTING)
"""Outputs of `bls_pipeline` that it makes only if requested."""

OUTPUT_TYPES: Mapping[str, type] = {
    "SCORE": np.float32,
    "BERT_SCORE": np.float32,
    "CUML_SCORE": np.float32,
    "ROUTE": np.object_,
    "DEGRADED": np.bool_,
    FLAGS: np.object_,
}
"""Outputs, each [B, 1]."""

TRIES = 4
"""How often a request is sent that fails because of another one in its batch."""

PAUSE_S = 0.05
"""Before the first retry; longer before each further one."""

_ROW = re.compile(r"row (\d+): (.*)", re.DOTALL)
_REFUSED = {"StatusCode.INVALID_ARGUMENT", "400"}
_DENIED = {"StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED", "401", "403"}
_UNAVAILABLE = {"StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND", "404", "503"}
_LATE = {"StatusCode.DEADLINE_EXCEEDED", "499", "504"}
_TOO_LATE = re.compile(r"no answer (in time|within)|no time left|timeout expired", re.I)
_BUSY = re.compile("Exceeds maximum queue size|queue: busy")
_MALFORMED = re.compile(r"string (data|length|elements?) for inference input|number of string elements", re.I)
_UNREACHABLE = re.compile(
    r"failed to connect|connection refused|socket closed|dns resolution|errors resolving|connection reset|broken pipe|"
    r"stream removed|stream closed|goaway|connection attempt timed out|endpoint closing|handshake|"
    r"grpc server is shutting down|server is shutting down",
    re.I,
)
_UNHEALTHY = re.compile(r"stub process .* is not healthy|is not ready|unknown model", re.I)


class Address(NamedTuple):
    """A Triton endpoint.

    Attributes:
        scheme: `grpc`, `grpcs`, `http` or `https`.
        location: host and port.
    """

    scheme: str
    location: str

    @property
    def is_grpc(self) -> bool:
        """Whether requests go by gRPC, not HTTP."""
        return self.scheme.startswith("grpc")

    @property
    def is_secure(self) -> bool:
        """Whether they go by TLS."""
        return self.scheme.endswith("s")

    @property
    def url(self) -> str:
        """Scheme and location."""
        return f"{self.scheme}://{self.location}"

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `grpc://host:port`, `http://host:port`, the same with `grpcs` or `https`, or `host:port`: gRPC.

        Raises:
            ValueError: for any other scheme or an empty location.
        """
        scheme, separator, location = url.strip().rpartition("://")
        scheme = scheme if separator else "grpc"
        location = location.rstrip("/")
        if scheme not in ("grpc", "grpcs", "http", "https") or not location or set(location) & set("/?#@ "):
            raise ValueError(f"{url!r} is not grpc://HOST:PORT or http://HOST:PORT, or grpcs:// or https:// for TLS")
        return cls(scheme, location)

    @classmethod
    def parse_all(cls, urls: str | Sequence[str]) -> "list[Address]":
        """Read one address or several, also with commas between them.

        Raises:
            ValueError: if there is none, one is none, or one is there twice.
        """
        parts = [part for url in ([urls] if isinstance(urls, str) else urls) for part in url.split(",")]
        addresses = [cls.parse(part) for part in parts]
        if not addresses or len(set(addresses)) < len(addresses):
            raise ValueError(f"no address, or one twice: {', '.join(parts)}")
        return addresses


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


def batches(rows: Sequence[bytes], weights: NDArray[np.float32], size: int) -> list[Batch]:
    """Cut N texts and their weights, FP32 [N], into requests of at most `size` rows."""
    excerpts = np.array([*rows, None], dtype=object)[:-1].reshape(-1, 1)
    shares = weights.reshape(-1, 1)
    return [Batch(at, excerpts[at : at + size], shares[at : at + size]) for at in range(0, len(rows), size)]


def weights_of(weights: float | Sequence[float], n_texts: int) -> NDArray[np.float32]:
    """A weight for each of N texts, FP32 [N], from one for all or one for each.

    Raises:
        ValueError: if there are not as many weights as texts.
    """
    shares = np.asarray(weights, dtype=np.float32)
    if not shares.ndim:
        return np.full(n_texts, shares)
    if shares.shape != (n_texts,):
        raise ValueError(f"{n_texts} texts but {shares.size} weights")
    return np.ascontiguousarray(shares)


def check_batch_size(size: int) -> None:
    """Raise `ValueError` for a batch size below 1."""
    if size < 1:
        raise ValueError(f"a batch has at least one row, not {size}")


def input_tensors(library: Any, arrays: Mapping[str, NDArray[Any]]) -> list[Any]:
    """Arrays by tensor name, as the `tritonclient` module `library` wants them; object arrays are STRING tensors."""
    tensors = []
    for name, array in arrays.items():
        tensor = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


@dataclass(frozen=True)
class RequestOptions:
    """What a request asks for besides scores.

    Attributes:
        parameters: request parameters, such as a policy and its settings.
        details: whether to ask for `readability_triton.client.scores.Details`.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    details: bool = False


def infer_request(batch: Batch, options: RequestOptions, model: ServedModel, request_id: str) -> InferRequest:
    """The request for the scores of a batch."""
    further = DETAILS if options.details else ROUTING if model.is_calibrated and model.reports_routes else ()
    if model.reports_flags(str(options.parameters.get("policy", ""))):
        further = (*further, FLAGS)
    inputs = {"excerpt": batch.excerpts, "BERT_WEIGHT": batch.weights}
    return InferRequest(model.name, inputs, ("SCORE", *further), options.parameters, request_id)


def read_scores(answer: Answer, model: ServedModel, batch: Batch, details: bool) -> Scores:
    """The scores in an answer, with details if requested, as far as the model has any.

    Raises:
        InferenceServerException: if an output is missing, or not of its type and [B, 1].
    """
    n_rows = len(batch.excerpts)

    def read(output: str) -> NDArray[Any]:
        return column(answer, model.name, output, n_rows, OUTPUT_TYPES[output])[:, 0]

    def read_optional(output: str) -> NDArray[Any] | None:
        return None if answer.as_numpy(output) is None else read(output)

    values = read("SCORE")
    route, degraded, flags = read_optional("ROUTE"), read_optional("DEGRADED"), read_optional(FLAGS)
    found = None
    if details and (route is None or degraded is None):
        found = Details.unknown(n_rows, model.name)
    elif details and route is not None and degraded is not None:
        routes = tuple(each.decode() for each in route.tolist())
        found = Details(read("BERT_SCORE"), read("CUML_SCORE"), routes, degraded)
    later = partial(calibration.of_answer, model, values, batch.weights[:, 0], route, degraded, batch.excerpts[:, 0])
    known_flags = None if flags is None else tuple(map(_flags, flags.tolist()))
    return Scores.deferred(values, (model.name,) * n_rows, later, found, known_flags)


def _flags(flags: bytes) -> tuple[str, ...]:
    return tuple(flags.decode().split(",")) if flags else ()


def column(answer: Answer, model: str, output: str, n_rows: int, dtype: Any) -> NDArray[Any]:
    """An output [B, 1] of an answer.

    Raises:
        InferenceServerException: if it is missing or of another shape or type; nothing is reshaped or broadcast.
    """
    array = answer.as_numpy(output)
    if array is not None and array.dtype == dtype and array.shape == (n_rows, 1):
        return array
    expected = f"expected {np.dtype(dtype)} [{n_rows}, 1]"
    if array is None:
        raise InferenceServerException(f"{model} answered without output {output}; {expected}")
    raise InferenceServerException(f"output {output} of {model} is {array.dtype} {list(array.shape)}; {expected}")


def translate(error: Exception, first_row: int = 0, url: str = DEFAULT_URL) -> ReadabilityError:
    """The typed error for what `tritonclient` raised on a request whose first text is row `first_row` of the call."""
    if isinstance(error, TimeoutError):
        return RequestTimeoutError(f"no answer from {url} in time")
    if not isinstance(error, InferenceServerException):
        return ServerUnreachableError(f"no server at {url}: {error}")
    return _translate_status(error.status(), error.message(), first_row, url)


def _translate_status(status: str | None, message: str, first_row: int, url: str) -> ReadabilityError:
    if status == "502" or (status not in _REFUSED and _UNREACHABLE.search(message)):
        return ServerUnreachableError(f"no server at {url}: {message}")
    if status in _DENIED:
        return AccessDeniedError(f"{url} refuses access: {message}")
    if status in _LATE or (status in _UNAVAILABLE and _TOO_LATE.search(message)):
        return RequestTimeoutError(f"no answer from {url} in time: {message}")
    if status == "429" or _BUSY.search(message):
        return ServerBusyError(f"{url} is busy: {message}")
    if status in _UNAVAILABLE or _UNHEALTHY.search(message):
        return ModelUnavailableError(message)
    if status in _REFUSED:
        match = _ROW.search(message)
        return InvalidRequestError(match[2], int(match[1]) + first_row) if match else InvalidRequestError(message)
    return InferenceError(message)


def is_neighbours_error(error: ReadabilityError) -> bool:
    """Whether a request failed because of a malformed one in its batch; tensors made here are never malformed.

    Triton 24.10 checks the lengths in a STRING tensor for a whole batch and refuses all of it.
    """
    return bool(_MALFORMED.search(str(error)))


def may_fall_back(error: ReadabilityError) -> bool:
    """Whether another pipeline on the same server may still answer."""
    return isinstance(error, ModelUnavailableError | ServerUnreachableError)
