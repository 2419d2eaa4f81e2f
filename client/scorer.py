"""Score texts on a Triton server."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from readability_triton.client.connection import Connection
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.protocol import (
    PAUSE_S,
    TRIES,
    Batch,
    batches,
    infer_arguments,
    is_neighbours_error,
    may_fall_back,
    read_scores,
    translate,
)
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel


class Scorer(Connection):
    """Scores texts; takes the arguments of `Connection`. Close it, or use it in a `with` statement."""

    LIBRARIES: ClassVar = {"grpc": tritonclient.grpc, "http": tritonclient.http}
    HTTP_TIMEOUTS: ClassVar = ("connection_timeout", "network_timeout")

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
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> Scores:
        """Score any number of texts, sent in batches that the server takes.

        Args:
            texts: what to score; bytes must be UTF-8.
            bert_weight: share of the encoder in each score, in [0, 1]: one for all texts, one for each, or None for the
                weight that the served model was fitted with.
            on_progress: called after each request with the number of texts just scored.

        Returns:
            Scores in the order of `texts`, each with the pipeline that answered, an interval and a CEFR level;
            `Scores` says which scores have neither.

        Raises:
            InvalidRequestError: if a text or a weight is refused; `row` says which.
            ModelUnavailableError: if neither pipeline is ready.
            ServerUnreachableError: if nothing answers at the address.
            RequestTimeoutError: if a request takes longer than allowed.
            ServerBusyError: if a queue in the server is full.
            InferenceError: if a model fails.
        """
        model = self.served_model()
        parts = []
        for batch in batches(texts, model.weight_or_default(bert_weight), self._rows_per_request(model)):
            parts.append(self._first_answer(partial(self._infer, batch=batch)))
            on_progress(len(batch.excerpts))
        return Scores.joined(parts)

    def served_model(self) -> ServedModel:
        """What the pipeline's configuration says of it; requested once."""
        if self._served_model is None:
            self._served_model = self._first_answer(self._describe)
        return self._served_model

    def _first_answer(self, ask: Callable[[str], Any]) -> Any:
        *earlier, last = self.model_names
        for name in earlier:
            try:
                return self._with_retries(ask, name)
            except ReadabilityError as error:
                if not may_fall_back(error):
                    raise
        return self._with_retries(ask, last)

    def _with_retries(self, ask: Callable[[str], Any], name: str) -> Any:
        """Send, and send again if the error is of another request in the same batch."""
        for number in range(1, TRIES):
            try:
                return ask(name)
            except ReadabilityError as error:
                if not is_neighbours_error(error):
                    raise
            time.sleep(number * PAUSE_S)
        return ask(name)

    def _describe(self, name: str) -> ServedModel:
        if name not in self._described:
            self._described[name] = self._request_description(name)
        return self._described[name]

    def _request_description(self, name: str) -> ServedModel:
        options = {"as_json": True, "client_timeout": self._timeout_s} if self._is_grpc else {}
        try:
            return ServedModel.of(self._client.get_model_config(name, **options))
        except (InferenceServerException, OSError) as error:
            raise translate(error, url=self.url) from error

    def _infer(self, name: str, batch: Batch) -> Scores:
        model, asked = self._describe(name), self._options_for(name)
        arguments = infer_arguments(self._library, batch, asked, model)
        limit = {"client_timeout": self._timeout_s} if self._is_grpc else {}
        try:
            answer = self._client.infer(name, **arguments, **limit)
            return read_scores(answer, model, batch, self._options.details)
        except (InferenceServerException, OSError) as error:
            raise translate(error, batch.start, self.url) from error
