"""Score the texts of a part, in this process or by servers that are there."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from google.protobuf.json_format import MessageToDict
from numpy.typing import NDArray

from readability_triton.client.access import Access
from readability_triton.client.calibration import are_calibrated, intervals_and_levels
from readability_triton.client.errors import (
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.scorer import Scorer as Client
from readability_triton.client.scores import Details, Scores
from readability_triton.client.served_model import ServedModel
from readability_triton.ensemble.config import read_config

PIPELINE = "bls_pipeline"
BOTH = "bert-large+cuml"
"""Route of scores computed here: `Details.route` of policy `parallel`."""

PATIENCE_S = 120.0
"""How long a server may be away or busy before the job stops."""

PAUSES_S = (0.1, 10.0)
"""First and longest pause between tries; each is twice the one before."""

CALLERS_ROWS = 64
"""Rows of a request to a server: small enough that other clients are not kept waiting long."""


@dataclass(frozen=True)
class Scored:
    """Scores of N texts.

    Attributes:
        values: FP32 [N], higher is easier; NaN where there is an error.
        bert, cuml: what the two models say, FP32 [N]; NaN where that is not known.
        interval: FP32 [N, 2], NaN where it is not known.
        level: N CEFR levels or None.
        route: N times the models whose scores went into the text's.
        degraded: BOOL [N], whether the score is not the requested one.
        tokens: INT64 [N], tokens that the encoder read; 0 where that is not known.
        errors: N reasons why there is no score, empty where there is one.
    """

    values: NDArray[np.float32]
    bert: NDArray[np.float32]
    cuml: NDArray[np.float32]
    interval: NDArray[np.float32]
    level: tuple[str | None, ...]
    route: tuple[str, ...]
    degraded: NDArray[np.bool_]
    tokens: NDArray[np.int64]
    errors: tuple[str, ...]

    @classmethod
    def failed(cls, error: str) -> "Scored":
        """One text without a score."""
        nothing = np.full(1, np.nan, dtype=np.float32)
        return cls(
            nothing,
            nothing,
            nothing,
            np.full((1, 2), np.nan, dtype=np.float32),
            (None,),
            ("",),
            np.zeros(1, dtype=np.bool_),
            np.zeros(1, dtype=np.int64),
            (error,),
        )

    @classmethod
    def joined(cls, parts: "Sequence[Scored]") -> "Scored":
        """Several, one after the other."""
        arrays = [
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("values", "bert", "cuml", "interval", "degraded", "tokens")
        ]
        level, route, errors = (
            tuple(value for part in parts for value in getattr(part, name)) for name in ("level", "route", "errors")
        )
        values, bert, cuml, interval, degraded, tokens = arrays
        return cls(values, bert, cuml, interval, level, route, degraded, tokens, errors)

    def take(self, order: Sequence[int]) -> "Scored":
        """The texts at `order`, in that order."""
        arrays = (getattr(self, name)[order] for name in ("values", "bert", "cuml", "interval"))
        level, route, errors = (tuple(getattr(self, name)[at] for at in order) for name in ("level", "route", "errors"))
        values, bert, cuml, interval = arrays
        return Scored(values, bert, cuml, interval, level, route, self.degraded[order], self.tokens[order], errors)


class TextScorer(Protocol):
    """Scores valid texts."""

    def score(self, texts: Sequence[str]) -> Scored:
        """Score at least one text.

        Raises:
            Exception: if any of them cannot be scored.
        """


class InProcessScorer:
    """The stages that Triton serves, in this process.

    A part is one batch: the encoder sorts its rows by length and cuts padding off, on a GPU in passes of
    `encoder.MAX_TOKENS_PER_SLICE_CUDA` tokens.

    Args:
        repository: the model repository, built.
        bert_weight: share of the encoder; None for the weight in the repository's configuration.
        device: where the encoder runs.

    Raises:
        OSError, ValueError, RuntimeError or treelite.TreeliteError: if an artefact is missing or malformed.
    """

    def __init__(self, repository: Path, bert_weight: float | None, device: str = "cpu") -> None:
        # Loaded only where models run: `--url` needs neither PyTorch nor Treelite.
        from readability_triton.stages.encoder import load_encoder
        from readability_triton.stages.pipeline import InProcessPipeline

        self._pipeline = InProcessPipeline(repository)
        if device != "cpu":
            self._pipeline.encoder = load_encoder(repository / "bert-large" / "1" / "model.pt", device)
        self._device = device
        config = read_config(repository / PIPELINE / "config.pbtxt")
        self._model = ServedModel.of(MessageToDict(config, preserving_proto_field_name=True))
        self._weight = np.float32(self._model.weight_or_default(bert_weight))

    def score(self, texts: Sequence[str]) -> Scored:
        """Score at least one text; see `TextScorer`."""
        import torch

        from readability_triton.stages.blend import blend
        from readability_triton.stages.tokens import tokenize

        ids, mask = tokenize(texts, self._pipeline.tokenizer)
        with torch.inference_mode():
            arguments = [torch.from_numpy(array).to(self._device) for array in (ids, mask)]
            bert = self._pipeline.encoder(*arguments).cpu().numpy()
        cuml = self._pipeline.cuml(texts)
        weights = np.full_like(bert, self._weight)
        values = blend(weights, bert, cuml)[:, 0]
        routes, degraded = (BOTH,) * len(texts), np.zeros(len(texts), dtype=np.bool_)
        calibrated = are_calibrated(self._model, values, weights[:, 0], routes, degraded)
        intervals, levels = intervals_and_levels(self._model, values, [text.encode() for text in texts], calibrated)
        tokens, none = mask.sum(1), ("",) * len(texts)
        return Scored(values, bert[:, 0], cuml[:, 0], intervals, levels, routes, degraded, tokens, none)


class ServedScorer:
    """Triton servers that are there.

    Args:
        url: of a server, or of what stands before several.
        bert_weight: share of the encoder; None for the weight in the served model's configuration.
        patience_s: how long the server may be away or busy.
        access: certificates, headers, a token.
    """

    def __init__(
        self,
        url: str,
        bert_weight: float | None,
        patience_s: float = PATIENCE_S,
        access: Access = Access(),  # noqa: B008 - frozen
    ) -> None:
        self._client = Client(PIPELINE, None, url, batch_size=CALLERS_ROWS, details=True, access=access)
        self._weight, self._patience_s = bert_weight, patience_s

    def score(self, texts: Sequence[str]) -> Scored:
        """Score at least one text; see `TextScorer`.

        Raises:
            ReadabilityError: if a text is refused, or the server is away or busy for too long.
        """
        scores = persistently(lambda: self._client.score(texts, self._weight), self._patience_s)
        details = scores.details or Details.unknown(len(texts), PIPELINE)
        return Scored(
            scores.values,
            details.bert,
            details.cuml,
            scores.interval,
            scores.level,
            details.route,
            details.degraded,
            np.zeros(len(texts), dtype=np.int64),
            ("",) * len(texts),
        )


AWAY = (ServerUnreachableError, ModelUnavailableError, RequestTimeoutError, ServerBusyError)
"""What may pass: a scoring request changes nothing, so it is sent again."""


def persistently(ask: Callable[[], Scores], patience_s: float) -> Scores:
    """Ask again while the server is away or busy, until `patience_s` are over.

    Raises:
        ReadabilityError: the last one.
    """
    pause, longest = PAUSES_S
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except AWAY:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, longest)


def score_each(scorer: TextScorer, texts: Sequence[str]) -> Scored:
    """Score texts; where they fail as a batch, in halves, so that one text's failure is its own.

    Raises:
        ReadabilityError: if the server is away or busy for too long: that is no text's failure.
    """
    try:
        return scorer.score(texts)
    except AWAY:
        raise
    except InvalidRequestError as error:
        reason = error.reason
    except (InferenceError, ReadabilityError, RuntimeError, ValueError) as error:
        reason = f"scoring failed: {str(error).strip().partition(chr(10))[0]}"
    if len(texts) == 1:
        return Scored.failed(reason)
    middle = len(texts) // 2
    return Scored.joined([score_each(scorer, texts[:middle]), score_each(scorer, texts[middle:])])
