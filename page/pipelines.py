"""The two pipelines of a Triton server, as the page asks them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.protocol import (
    Batch,
    RequestOptions,
    batches,
    infer_request,
    read_scores,
    translate,
    weights_of,
)
from readability_triton.client.scorer import Scorer
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel
from readability_triton.explain.one_request import Explainer
from readability_triton.explain.waterfall import Waterfall

ENSEMBLE, BLS = "ensemble_all", "bls_pipeline"
PIPELINES = (ENSEMBLE, BLS)


class Answered(NamedTuple):
    """What a pipeline answered to one request.

    Attributes:
        scores: of the texts, with details.
        waterfall: where the time of this request went.
        model: what the pipeline's configuration said.
    """

    scores: Scores
    waterfall: Waterfall
    model: ServedModel


class Pipelines(Protocol):
    """What the page needs of a server.

    Every call blocks, and raises `ReadabilityError` as `Scorer.score` does.
    """

    url: str

    def served_model(self, name: str) -> ServedModel:
        """What the configuration of a pipeline says."""

    def ask(
        self, name: str, texts: Sequence[str], weight: float | None, parameters: Mapping[str, str | float]
    ) -> Answered:
        """Score texts by this pipeline and no other, in one request."""

    def score_sentences(
        self, sentences: Sequence[str], weight: float | None, on_progress: Callable[[int], None]
    ) -> Scores:
        """Score sentences, each as a text, by whichever pipeline is ready.

        `on_progress` is called after each request with the number of sentences just scored; what it raises stops the
        scoring.
        """


class _Outputs:
    """Arrays by name as an `Answer`."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays

    def as_numpy(self, name: str) -> NDArray[Any] | None:
        """The array of this name."""
        return self._arrays.get(name)


class TritonPipelines:
    """`Pipelines` of a server by its address.

    Args:
        url: of a Triton server, `grpc://host:port`, or `grpcs://` for TLS.
        timeout_s: seconds that a request may take.
        access: how to get in.
        removes_traces: whether to remove the trace files of Triton that were read: where the server is our own.

    Attributes:
        trace_access: how to get in at Triton's trace API; `access` by default. Another server may need another one.

    Raises:
        ValueError: if the url is not one of gRPC.
        OSError: if a certificate cannot be read.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float,
        access: Access = Access(),  # noqa: B008 - frozen
        removes_traces: bool = False,
    ) -> None:
        self.url, self.trace_access = url, access
        self._timeout_s, self._access, self._removes_traces = timeout_s, access, removes_traces
        self._either = self._scorer(BLS, fallback=ENSEMBLE)
        self._explainer().close()  # raises for an address or a certificate that cannot be used

    def _scorer(self, name: str, fallback: str | None = None) -> Scorer:
        return Scorer(name, fallback, self.url, timeout_s=self._timeout_s, access=self._access)

    def _explainer(self) -> Explainer:
        return Explainer(self.url, self.trace_access, self._timeout_s, removes_traces=self._removes_traces)

    def served_model(self, name: str) -> ServedModel:
        """What the configuration of a pipeline says."""
        with self._scorer(name) as scorer:
            return scorer.served_model()

    def ask(
        self, name: str, texts: Sequence[str], weight: float | None, parameters: Mapping[str, str | float]
    ) -> Answered:
        """Score texts by this pipeline and no other, in one request."""
        model = self.served_model(name)
        batch = _one_batch(texts, model, weight)
        request = infer_request(batch, RequestOptions(parameters, details=name == BLS), model, "")
        # For one request only: Triton traces every request to the model, those of other clients too, until `close`.
        with self._explainer() as explainer:
            explained = explainer.ask(name, request.inputs, request.parameters, request.outputs)
        try:
            scores = read_scores(_Outputs(explained.outputs), model, batch, details=name == BLS)
        except InferenceServerException as error:
            raise translate(error, url=self.url) from error
        return Answered(scores, explained.waterfall, model)

    def score_sentences(
        self, sentences: Sequence[str], weight: float | None, on_progress: Callable[[int], None]
    ) -> Scores:
        """Score sentences, each as a text, by whichever pipeline is ready."""
        return self._either.score(sentences, weight, on_progress)


def _one_batch(texts: Sequence[str], model: ServedModel, weight: float | None) -> Batch:
    if len(texts) > model.max_batch_size:
        raise InvalidRequestError(
            f"The text has {len(texts)} passages, and {model.name} takes {model.max_batch_size} in a request: "
            "`readability score FILE` takes texts of any length."
        )
    rows = [text.encode() for text in texts]
    [batch] = batches(rows, weights_of(model.weight_or_default(weight), len(rows)), len(rows))
    return batch
