"""What `Scorer` and `AsyncScorer` have in common: options, checked once, and the connection."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

from readability_triton.client.protocol import DEFAULT_URL, Address, Parameter, RequestOptions, check_batch_size
from readability_triton.client.served_model import ServedModel

DEFAULT_BATCH_SIZE = 32
DEFAULT_TIMEOUT_S = 120.0


class Connection:
    """A connection to the two pipelines.

    Args:
        model_name: the pipeline that requests go to first.
        fallback: the one that gets the same request, once, if the first is not ready or cannot be reached in the
            server; None for none.
        url: `grpc://host:port` or `http://host:port`.
        batch_size: rows in one request; never more than the model takes.
        timeout_s: how long one request may take, in seconds.
        parameters: request parameters for `model_name`, such as `{"policy": "deadline", "deadline_ms": 100}`.
        details: whether to request `Scores.details` from `model_name` too, which only `bls_pipeline` has.

    Raises:
        ValueError: for a url that is neither, or a batch size below 1.
    """

    LIBRARIES: ClassVar[Mapping[str, ModuleType]]
    """The `tritonclient` module for each scheme."""
    HTTP_TIMEOUTS: ClassVar[tuple[str, ...]]
    """What that for HTTP calls its timeouts."""

    def __init__(
        self,
        model_name: str = "bls_pipeline",
        fallback: str | None = "ensemble_all",
        url: str = DEFAULT_URL,
        batch_size: int = DEFAULT_BATCH_SIZE,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        parameters: Mapping[str, Parameter] | None = None,
        details: bool = False,
    ) -> None:
        address = Address.parse(url)
        check_batch_size(batch_size)
        self.model_names = list(dict.fromkeys(name for name in (model_name, fallback) if name))
        self.url = url
        self._batch_size = batch_size
        self._timeout_s = timeout_s
        self._options = RequestOptions(parameters or {}, details)
        self._library: Any = self.LIBRARIES[address.scheme]
        self._is_grpc = address.scheme == "grpc"
        timeouts = {} if self._is_grpc else dict.fromkeys(self.HTTP_TIMEOUTS, timeout_s)
        self._client = self._library.InferenceServerClient(address.location, **timeouts)
        self._served_model: ServedModel | None = None
        self._described: dict[str, ServedModel] = {}

    def _rows_per_request(self, model: ServedModel) -> int:
        return min(self._batch_size, model.max_batch_size or 1)

    def _options_for(self, name: str) -> RequestOptions:
        """The fallback gives the same scores, but knows nothing of the first pipeline's policies."""
        return self._options if name == self.model_names[0] else RequestOptions()
