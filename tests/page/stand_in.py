"""A stand-in for the pipelines of a server."""

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from readability_triton.client.errors import InvalidRequestError, ReadabilityError, ServerUnreachableError
from readability_triton.client.scores import Details, Flags, Scores
from readability_triton.client.served_model import ServedModel
from readability_triton.explain.critical_path import waterfall_of
from readability_triton.explain.waterfall import Span, Waterfall
from readability_triton.page.pipelines import BLS, Answered
from readability_triton.stages.cefr import LevelLine
from readability_triton.stages.text import words

FITTED = 1.0
QUANTILES = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0)
LATENCY_MS = 12.5


class StandIn:
    """Scores a text by the mean length of its words: longer is harder.

    Attributes:
        errors: what a pipeline raises, by name; "" for all.
        offset: what `bls_pipeline` adds to each score.
        flags: of every text, by `bls_pipeline`.
        degraded: whether its answers are.
        refuses: whether it gives texts with flags no score.
        asked: name, texts, weight, parameters of each request.
        entered: set when a request is in `ask`.
        may_answer: `ask` waits for it.
        scores_sentences: set when sentences are being scored.
        stopped: set when their scoring ended before all were done.
        may_end: `score_sentences` goes on, in small steps, until this is set or `on_progress` raises.
    """

    url = "grpc://127.0.0.1:1"

    def __init__(self) -> None:
        self.errors: dict[str, ReadabilityError] = {}
        self.offset = 0.0
        self.flags: Flags | None = ()
        self.degraded = self.refuses = False
        self.asked: list[tuple[str, list[str], float | None, dict[str, str | float]]] = []
        self.entered, self.may_answer = threading.Event(), threading.Event()
        self.scores_sentences, self.stopped, self.may_end = (threading.Event() for _ in range(3))
        for each in (self.may_answer, self.may_end):
            each.set()

    def die(self) -> None:
        self.errors[""] = ServerUnreachableError(f"no server at {self.url}: connection refused")

    def served_model(self, name: str) -> ServedModel:
        self._raise(name)
        return ServedModel(name, 512, FITTED, QUANTILES, None, LevelLine(3.0, -1.0, 0.5))

    def ask(
        self, name: str, texts: Sequence[str], weight: float | None, parameters: Mapping[str, str | float]
    ) -> Answered:
        self.asked.append((name, list(texts), weight, dict(parameters)))
        self.entered.set()
        assert self.may_answer.wait(60)
        self._raise(name)
        return Answered(self._scores(name, texts, weight), waterfall(name), self.served_model(name))

    def score_sentences(
        self, sentences: Sequence[str], weight: float | None, on_progress: Callable[[int], None]
    ) -> Scores:
        self._raise(BLS)
        self.scores_sentences.set()
        try:
            while not self.may_end.wait(0.01):
                on_progress(1)
        except BaseException:
            self.stopped.set()
            raise
        return self._scores(BLS, sentences, weight)

    def _raise(self, name: str) -> None:
        for each in ("", name):
            if each in self.errors:
                raise self.errors[each]

    def _scores(self, name: str, texts: Sequence[str], weight: float | None) -> Scores:
        for row, text in enumerate(texts):
            if "forbidden" in text:
                raise InvalidRequestError("text is forbidden", row)
        is_bls = name == BLS
        values = np.array([score_of(text) for text in texts], dtype=np.float32) + (self.offset if is_bls else 0)
        if is_bls and self.refuses:
            values[:] = np.nan
        is_fitted = weight in (None, FITTED) and not np.isnan(values).any()
        interval = np.stack([values - 1, values + 1], axis=1) if is_fitted else np.full((len(texts), 2), np.nan)
        nothing = np.full(len(texts), np.nan, dtype=np.float32)
        route = ("bert-large+cuml",) * len(texts)
        return Scores(
            values,
            (name,) * len(texts),
            interval.astype(np.float32),
            ("B1" if is_fitted else None,) * len(texts),
            Details(nothing, nothing, route, np.full(len(texts), self.degraded)) if is_bls else None,
            (self.flags,) * len(texts) if is_bls else None,
        )


def score_of(text: str) -> float:
    """From 2 for words of two letters down to -4 for words of eight."""
    found = words(text)
    return 4.0 - sum(map(len, found)) / max(len(found), 1)


def waterfall(name: str) -> Waterfall:
    """A request that was computed by one model for most of its time."""
    spans = [
        Span("client", "client", 0.0, LATENCY_MS, None),
        Span(name, "request", 0.5, 12.0, 0),
        Span("bert-large", "call", 1.0, 11.5, 1, reads=()),
        Span("queue", "queue", 1.0, 2.0, 2),
        Span("compute", "compute", 2.0, 11.5, 2),
    ]
    return waterfall_of(name, spans, "a stand-in")
