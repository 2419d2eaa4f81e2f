"""What `Scorer` and `AsyncScorer` have in common: options, checked once."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.client.errors import ReadabilityError, ServerUnreachableError
from readability_triton.client.protocol import (
    DEFAULT_URL,
    Address,
    Batch,
    RequestOptions,
    batches,
    check_batch_size,
    infer_request,
    translate,
    weights_of,
)
from readability_triton.client.rows import Missing, Rows, read_rows
from readability_triton.client.served_model import ServedModel
from readability_triton.client.servers import Server, Servers
from readability_triton.client.split import Route, Split
from readability_triton.client.transports.transport import InferRequest, Parameter

DEFAULT_BATCH_SIZE = 32
DEFAULT_TIMEOUT_S = 120.0

T = TypeVar("T")


class Connection(Generic[T]):
    """A connection to the two pipelines.

    Args:
        model_name: the pipeline that requests go to first.
        fallback: the one that gets the same request, once, if the first is not ready or cannot be reached in the
            server; None for none.
        url: `grpc://host:port` or `http://host:port`, with TLS `grpcs://` or `https://`; several, in a list or with
            commas between, share the requests, and one that does not answer is left out until it does.
        batch_size: rows in one request; never more than the model takes.
        timeout_s: how long one request to one server may take, in seconds.
        parameters: request parameters for `model_name`, such as `{"policy": "deadline", "deadline_ms": 100}`.
        details: whether to request `Scores.details` from `model_name` too, which only `bls_pipeline` has.
        access: certificates, headers, a token, compression.
        in_flight: requests that one call of `score` may have under way at a time.
        retries: how often a request is sent again, after a pause that doubles, when every server is busy, is not ready
            or cannot be reached.
        split: sends a share of the calls to another pipeline, such as `{"bls_pipeline": 0.1}`; a `Split` says more. The
            rest goes to the first of `model_name` and `fallback` that is another one.

    Raises:
        ValueError: for a url that is none of these, a batch size or a number in flight below 1, negative retries, a
            certificate for an address without TLS, or a split without two pipelines.
        OSError: if a certificate cannot be read.
    """

    TRANSPORTS: ClassVar[Mapping[bool, Callable[[str, bool, Access], Any]]]
    """How to open a transport: by location, whether by TLS, and access. The key says whether it is gRPC."""

    def __init__(
        self,
        model_name: str = "bls_pipeline",
        fallback: str | None = "ensemble_all",
        url: str | Sequence[str] = DEFAULT_URL,
        batch_size: int = DEFAULT_BATCH_SIZE,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        parameters: Mapping[str, Parameter] | None = None,
        details: bool = False,
        access: Access = Access(),  # noqa: B008 - frozen
        in_flight: int = 1,
        retries: int = 0,
        split: Mapping[str, float] | Split | None = None,
    ) -> None:
        self._addresses = Address.parse_all(url)
        check_batch_size(batch_size)
        if in_flight < 1 or retries < 0:
            raise ValueError(f"in_flight is at least 1 and retries at least 0, not {in_flight} and {retries}")
        if access.has_tls_files and not any(address.is_secure for address in self._addresses):
            raise ValueError(f"certificates are for grpcs:// and https://, not {url}")
        self.model_names = list(dict.fromkeys(name for name in (model_name, fallback) if name))
        self.url = ",".join(address.url for address in self._addresses)
        self._access = access
        self._batch_size, self._in_flight = batch_size, in_flight
        self._timeout_s, self._retries = timeout_s, retries
        self._options = RequestOptions(parameters or {}, details)
        self._split = self._checked(Split.of(split))
        self._served_model: ServedModel | None = None
        self._described: dict[str, ServedModel] = {}
        self._start()

    def _start(self) -> None:
        """Prepare for connections."""
        raise NotImplementedError

    def _checked(self, split: Split | None) -> Split | None:
        if split and not set(self.model_names) - {split.candidate}:
            raise ValueError(f"{split.candidate} gets a share, and there is no other pipeline: name one as model_name")
        return split

    def _route(self, key: str | None) -> Route:
        return Route.of(self.model_names, self._split, key)

    def _open_servers(self) -> Servers[T]:
        return Servers([Server(address.url, self._open(address)) for address in self._addresses])

    def _open(self, address: Address) -> T:
        transport: T = self.TRANSPORTS[address.is_grpc](address.location, address.is_secure, self._access)
        return transport

    def _read(
        self, texts: Iterable[Any], bert_weight: float | Sequence[float] | None, missing: Missing, model: ServedModel
    ) -> tuple[Rows, list[Batch]]:
        rows = read_rows(texts, missing)
        weights = weights_of(model.weight_or_default(bert_weight), rows.total)
        size = min(self._batch_size, model.max_batch_size or 1)
        return rows, batches(rows.texts, weights[rows.at], size)

    def _request(self, model: ServedModel, batch: Batch) -> InferRequest:
        """The fallback gives the same scores, but knows nothing of the first pipeline's policies."""
        options = self._options if model.name == self.model_names[0] else RequestOptions()
        return infer_request(batch, options, model, uuid.uuid4().hex)


def note_failure(servers: Servers[T], server: Server[T], error: Exception) -> ReadabilityError:
    """The typed error for what a request to `server` raised; a server that does not answer at all is left out."""
    translated = translate(error, url=server.url)
    is_silent = isinstance(error, TimeoutError) or (
        isinstance(error, InferenceServerException) and error.status() == "StatusCode.DEADLINE_EXCEEDED"
    )
    if is_silent or isinstance(translated, ServerUnreachableError):
        servers.failed(server)
    return translated
