"""Score whole documents, passage by passage."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np

from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.passages import Passage, cut
from readability_triton.client.scorer import Scorer
from readability_triton.client.scores import Details, Flags, Scores
from readability_triton.client.served_model import ServedModel

MUCH_TO_DO = 32
"""Passages from which on progress is shown."""

Interval = tuple[float, float]
"""Lower and upper end."""

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class ScoredPassage:
    """A passage with its score.

    Attributes:
        passage: where it stands.
        score: higher is easier.
        percentile: share of training excerpts, in percent, that are at most as easy; None if the server does not say.
        route: the models whose scores went into this one; empty if not requested.
        degraded: whether the score is not the requested one.
        interval: ends, as `Scores.interval` has them; None where they are not known.
        level: CEFR level, as `Scores.level` has it.
        flags: what makes the score doubtful; None if nobody checked.
    """

    passage: Passage
    score: float
    percentile: float | None
    route: str = ""
    degraded: bool = False
    interval: Interval | None = None
    level: str | None = None
    flags: Flags | None = None

    @property
    def is_refused(self) -> bool:
        """Whether it has no score because of its flags."""
        return math.isnan(self.score) and bool(self.flags)


@dataclass(frozen=True)
class ScoredDocument:
    """A document with the scores of its passages.

    Attributes:
        name: the file's name, `-` for standard input.
        score: the mean over passages, each weighing as many words as it has; NaN if one was refused.
        percentile: of that mean.
        passages: in order.
        answered_by: the pipelines that answered.
        interval: around that mean, as `mean_interval` gives it; None if a passage has none.
        level: CEFR level of that mean, which is the mean of the passages' levels; None if a passage has none.
    """

    name: str
    score: float
    percentile: float | None
    passages: list[ScoredPassage]
    answered_by: list[str]
    interval: Interval | None = None
    level: str | None = None

    @property
    def flags(self) -> Flags | None:
        """The flags of its passages, each once, in the order of the passages; None if one was not checked."""
        flags = [passage.flags for passage in self.passages]
        known = [each for each in flags if each is not None]
        return None if len(known) < len(flags) else tuple(dict.fromkeys(flag for each in known for flag in each))

    @property
    def is_refused(self) -> bool:
        """Whether it has no score because a passage was refused."""
        return any(passage.is_refused for passage in self.passages)

    @property
    def hardest(self) -> int:
        """Index of the passage with the lowest score."""
        return min(range(len(self.passages)), key=lambda index: self.passages[index].score)


def score_documents(
    scorer: Scorer,
    documents: Sequence[tuple[str, str]],
    bert_weight: float | None,
    progress: Progress | None = None,
) -> list[ScoredDocument]:
    """Score documents, each a name and a text that holds more than white space.

    Raises:
        ReadabilityError: as `Scorer.score` does.
    """
    passages = [cut(text) for _, text in documents]
    texts = [passage.text for parts in passages for passage in parts]
    shown = progress("scoring", len(texts)) if progress and len(texts) > MUCH_TO_DO else nullcontext(_no_progress)
    with shown as on_progress:
        scores = scorer.score(texts, bert_weight, on_progress)
    rows = iter(scored_passages([part for parts in passages for part in parts], scores, scorer.served_model()))
    by_document = [[next(rows) for _ in parts] for parts in passages]
    answered_by = iter(scores.answered_by)
    return [
        scored_document(name, parts, sorted({next(answered_by) for _ in parts}), scorer.served_model())
        for (name, _), parts in zip(documents, by_document, strict=True)
    ]


def score_accepted(
    scorer: Scorer,
    documents: Sequence[tuple[str, str]],
    bert_weight: float | None,
    progress: Progress | None = None,
) -> tuple[list[ScoredDocument], Mapping[int, str]]:
    """Score the documents that the server accepts; why it refuses the others, by their index in `documents`.

    Raises:
        ReadabilityError: as `Scorer.score` does, but for a refusal that names a row.
    """
    left = dict(enumerate(documents))
    refused: dict[int, str] = {}
    while left:
        try:
            return score_documents(scorer, list(left.values()), bert_weight, progress), refused
        except InvalidRequestError as error:
            if error.row is None:
                raise
            index = list(left)[_document_of_passage(list(left.values()), error.row)]
            refused[index] = error.reason
            del left[index]
    return [], refused


def _document_of_passage(documents: Sequence[tuple[str, str]], passage: int) -> int:
    """Index of the document that passage number `passage` of all is in."""
    of_passages = (index for index, (_, text) in enumerate(documents) for _ in cut(text))
    return next(islice(of_passages, passage, None))


def mean_interval(intervals: Sequence[Interval | None], weights: Sequence[float]) -> Interval | None:
    """The weighted means of the lower and of the upper ends; None if an interval is not known.

    It is not calibrated, but wide: it holds the mean of the passages' human scores as often as each interval holds its
    own where all errors go the same way, and more often the less they do. (Quantiles of a sum are at most the sum of
    the quantiles for errors that rise together, with equality, and for jointly normal ones; for errors with any
    dependence there is no such bound.) On the 92 sources of the corpus that have several excerpts, out of fold, it
    held 98.9 %.
    """
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return None
    low, high = np.average(known, axis=0, weights=weights)
    return float(low), float(high)


def scored_passages(passages: Sequence[Passage], scores: Scores, model: ServedModel) -> list[ScoredPassage]:
    """N passages with what their N scores mean by the configuration of `model`."""
    details = scores.details or Details.unknown(len(passages), "")
    return [
        ScoredPassage(
            passage,
            score,
            None if math.isnan(score) else model.percentile(score),
            route,
            degraded,
            None if math.isnan(low) else (low, high),
            level,
            flags,
        )
        for passage, score, (low, high), level, route, degraded, flags in zip(
            passages,
            scores.values.tolist(),
            scores.interval.tolist(),
            scores.level,
            details.route,
            details.degraded.tolist(),
            scores.flags or (None,) * len(passages),
            strict=True,
        )
    ]


def scored_document(
    name: str, passages: list[ScoredPassage], answered_by: list[str], model: ServedModel
) -> ScoredDocument:
    """The document that these passages make up, with what its mean score means by the configuration of `model`."""
    weights = [max(each.passage.words, 1) for each in passages]
    mean = float(np.average([each.score for each in passages], weights=weights))
    return ScoredDocument(
        name,
        mean,
        None if math.isnan(mean) else model.percentile(mean),
        passages,
        answered_by,
        mean_interval([each.interval for each in passages], weights),
        model.level(mean) if all(each.level for each in passages) else None,
    )


def _no_progress(rows: int) -> None:
    pass
