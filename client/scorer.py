"""Score texts on a Triton server."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from readability_triton.client.errors import ReadabilityError
from readability_triton.client.protocol import (
    DEFAULT_URL,
    PAUSE_S,
    TRIES,
    Address,
    Batch,
    Parameter,
    Wish,
    batches,
    check_batch_size,
    infer_arguments,
    is_anothers,
    may_fall_back,
    read_scores,
    translate,
)
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel

DEFAULT_BATCH_SIZE = 32
DEFAULT_TIMEOUT_S = 120.0


class Scorer:
    """A connection to the two pipelines. Close it, or use it in a `with` statement.

    Args:
        model_name: the pipeline that is asked first.
        fallback: the one that gets the same request, once, if the first is not ready or cannot be reached in the
            server; None for none.
        url: `grpc://host:port` or `http://host:port`.
        batch_size: rows in one request; never more than the model takes.
        timeout_s: how long one request may take, in seconds.
        parameters: request parameters for `model_name`, such as `{"policy": "deadline", "deadline_ms": 100}`.
        details: whether to ask `model_name` for `Scores.details` too, which only `bls_pipeline` can tell.

    Raises:
        ValueError: for a url that is neither, or a batch size below 1.
    """

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
        self._batch_size = batch_size
        self._timeout_s = timeout_s
        self._wish = Wish(parameters or {}, details)
        self.url = url
        self._library: Any = {"grpc": tritonclient.grpc, "http": tritonclient.http}[address.scheme]
        self._is_grpc = address.scheme == "grpc"
        timeouts = {} if self._is_grpc else {"connection_timeout": timeout_s, "network_timeout": timeout_s}
        self._client = self._library.InferenceServerClient(address.location, **timeouts)
        self._served_model: ServedModel | None = None

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def score(
        self,
        texts: Sequence[str | bytes],
        bert_weight: float | Sequence[float] | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Scores:
        """Score any number of texts, sent in batches that the server takes.

        Args:
            texts: what to score; bytes must be UTF-8.
            bert_weight: share of the encoder in each score, in [0, 1]: one for all texts, one for each, or None for the
                weight that the served model was fitted with.
            advance: told after each request how many more texts are done.

        Returns:
            Scores in the order of `texts`, with the pipeline that answered for each.

        Raises:
            InvalidRequestError: if a text or a weight is refused; `row` says which.
            ModelUnavailableError: if neither pipeline is ready.
            ServerUnreachableError: if nothing answers at the address.
            RequestTimeoutError: if a request takes longer than allowed.
            ServerBusyError: if a queue in the server is full.
            InferenceError: if a model fails.
        """
        model = self.served_model()
        size = min(self._batch_size, model.max_batch_size or 1)
        parts = []
        for batch in batches(texts, model.weight_or_default(bert_weight), size):
            parts.append(self._first_answer(partial(self._infer, batch=batch)))
            advance(len(batch.excerpts))
        return Scores.joined(parts)

    def served_model(self) -> ServedModel:
        """What the pipeline tells about itself; asked for once."""
        if self._served_model is None:
            self._served_model = self._first_answer(self._describe)
        return self._served_model

    def _first_answer(self, ask: Callable[[str], Any]) -> Any:
        *earlier, last = self.model_names
        for name in earlier:
            try:
                return self._undisturbed(ask, name)
            except ReadabilityError as error:
                if not may_fall_back(error):
                    raise
        return self._undisturbed(ask, last)

    def _undisturbed(self, ask: Callable[[str], Any], name: str) -> Any:
        """Ask, and again if the answer was meant for another's request."""
        for number in range(1, TRIES):
            try:
                return ask(name)
            except ReadabilityError as error:
                if not is_anothers(error):
                    raise
            time.sleep(number * PAUSE_S)
        return ask(name)

    def _describe(self, name: str) -> ServedModel:
        options = {"as_json": True, "client_timeout": self._timeout_s} if self._is_grpc else {}
        try:
            return ServedModel.of(self._client.get_model_config(name, **options))
        except (InferenceServerException, OSError) as error:
            raise translate(error, url=self.url) from error

    def _infer(self, name: str, batch: Batch) -> Scores:
        # Whoever stands in knows the same scores, but not the first pipeline's policies.
        wish = self._wish if name == self.model_names[0] else Wish()
        arguments = infer_arguments(self._library, batch, wish)
        limit = {"client_timeout": self._timeout_s} if self._is_grpc else {}
        try:
            answer = self._client.infer(name, **arguments, **limit)
        except (InferenceServerException, OSError) as error:
            raise translate(error, batch.start, self.url) from error
        return read_scores(answer, name, len(batch.excerpts), self._wish.details)
