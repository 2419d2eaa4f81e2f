"""The two pipelines of a Triton server, as the page asks them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from readability_triton.client.scorer import Scorer
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel

ENSEMBLE, BLS = "ensemble_all", "bls_pipeline"
PIPELINES = (ENSEMBLE, BLS)


class Answered(NamedTuple):
    """What a pipeline answered to one request.

    Attributes:
        scores: of the texts, with details.
        milliseconds: from sending until the answer was there.
    """

    scores: Scores
    milliseconds: float


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

    def score_sentences(self, sentences: Sequence[str], weight: float | None) -> Scores:
        """Score sentences, each as a text, by whichever pipeline is ready."""

    def check(self) -> None:
        """Raise `ReadabilityError` unless the server answers now."""


class TritonPipelines:
    """`Pipelines` of a server by its address.

    Args:
        url: of a Triton server, as `Scorer` takes it.
        timeout_s: seconds that a request may take.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url, self._timeout_s = url, timeout_s
        self._either = self._scorer(BLS, fallback=ENSEMBLE)

    def _scorer(self, name: str, fallback: str | None = None, **arguments: Any) -> Scorer:
        return Scorer(name, fallback, self.url, timeout_s=self._timeout_s, **arguments)

    def served_model(self, name: str) -> ServedModel:
        """What the configuration of a pipeline says."""
        with self._scorer(name) as scorer:
            return scorer.served_model()

    def ask(
        self, name: str, texts: Sequence[str], weight: float | None, parameters: Mapping[str, str | float]
    ) -> Answered:
        """Score texts by this pipeline and no other, in one request."""
        with self._scorer(name, parameters=parameters, details=name == BLS, batch_size=len(texts)) as scorer:
            scorer.served_model()  # connects
            start = time.perf_counter()
            scores = scorer.score(texts, weight)
            return Answered(scores, (time.perf_counter() - start) * 1000)

    def score_sentences(self, sentences: Sequence[str], weight: float | None) -> Scores:
        """Score sentences, each as a text, by whichever pipeline is ready."""
        return self._either.score(sentences, weight)

    def check(self) -> None:
        """Raise `ReadabilityError` unless the server answers now."""
        self.served_model(BLS)
