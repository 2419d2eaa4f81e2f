"""Score whole documents, passage by passage."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
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

GROUP = 512
"""Passages that `score_accepted` scores in one call: what a refusal costs at most. They fill many requests, so that
several are in flight."""

Interval = tuple[float, float]
"""Lower and upper end."""

Parts = tuple[str, list[Passage]]
"""A document's name and passages."""

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
    parts = [(name, cut(text)) for name, text in documents]
    with _shown(progress, parts) as on_progress:
        return _score(scorer, parts, bert_weight, on_progress)


def score_accepted(
    scorer: Scorer,
    documents: Sequence[tuple[str, str]],
    bert_weight: float | None,
    progress: Progress | None = None,
) -> tuple[list[ScoredDocument], Mapping[int, str]]:
    """Score the documents that the server accepts; why it refuses the others, by their index in `documents`.

    Documents are sent in groups. After a refusal, those of the group before the refused one are sent again, then the
    others in two halves: where many are refused, less is sent for nothing.

    Raises:
        ReadabilityError: as `Scorer.score` does, but for a refusal that names a row.
    """
    parts = [(name, cut(text)) for name, text in documents]
    scored: list[ScoredDocument] = []
    refused: dict[int, str] = {}
    left = deque(_groups(parts))
    with _shown(progress, parts) as on_progress:
        steps = _Steps(on_progress)
        while left:
            group = left.popleft()
            of_group = [parts[index] for index in group]
            try:
                scored += _score(scorer, of_group, bert_weight, steps.forward)
            except InvalidRequestError as error:
                if error.row is None:
                    raise
                at = _document_of_passage(of_group, error.row)
                refused[group[at]] = error.reason
                middle = (at + 1 + len(group)) // 2
                left.extendleft(each for each in (group[middle:], group[at + 1 : middle], group[:at]) if each)
                steps.back(len(of_group[at][1]))
            else:
                steps.settle()
    return scored, refused


class _Steps:
    """Progress over calls of which some are repeated: each passage counts once.

    Args:
        on_progress: called with the number of passages just done.
    """

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self._settled = self._done = self._shown = 0

    def forward(self, passages: int) -> None:
        """So many more are done."""
        self._done += passages
        if self._done > self._shown:
            self._on_progress(self._done - self._shown)
            self._shown = self._done

    def settle(self) -> None:
        """What is done will not be repeated."""
        self._settled = self._done

    def back(self, refused: int) -> None:
        """What is not settled will be repeated, but for so many passages that are refused."""
        self._done = self._settled
        self.forward(refused)
        self.settle()


def _groups(documents: Sequence[Parts]) -> Iterator[list[int]]:
    """Indices of documents, in order, in groups of at most `GROUP` passages or one document."""
    group: list[int] = []
    passages = 0
    for index, (_, parts) in enumerate(documents):
        if group and passages + len(parts) > GROUP:
            yield group
            group, passages = [], 0
        group.append(index)
        passages += len(parts)
    if group:
        yield group


def _document_of_passage(documents: Sequence[Parts], passage: int) -> int:
    """Index of the document that passage number `passage` of all is in."""
    of_passages = (index for index, (_, parts) in enumerate(documents) for _ in parts)
    return next(islice(of_passages, passage, None))


def _shown(progress: Progress | None, documents: Sequence[Parts]) -> AbstractContextManager[Callable[[int], None]]:
    passages = sum(len(parts) for _, parts in documents)
    return progress("scoring", passages) if progress and passages > MUCH_TO_DO else nullcontext(_no_progress)


def _score(
    scorer: Scorer, documents: Sequence[Parts], bert_weight: float | None, on_progress: Callable[[int], None]
) -> list[ScoredDocument]:
    passages = [passage for _, parts in documents for passage in parts]
    scores = scorer.score([passage.text for passage in passages], bert_weight, on_progress)
    rows = iter(scored_passages(passages, scores, scorer.served_model()))
    answered_by = iter(scores.answered_by)
    return [
        scored_document(
            name, [next(rows) for _ in parts], sorted({next(answered_by) for _ in parts}), scorer.served_model()
        )
        for name, parts in documents
    ]


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
