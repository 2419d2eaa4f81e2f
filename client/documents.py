"""Score whole documents, passage by passage."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from readability_triton.client.passages import Passage, cut
from readability_triton.client.scorer import Scorer
from readability_triton.client.scores import Details

MUCH_TO_DO = 32
"""Passages from which on progress is shown."""

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
    """

    passage: Passage
    score: float
    percentile: float | None
    route: str = ""
    degraded: bool = False


@dataclass(frozen=True)
class ScoredDocument:
    """A document with the scores of its passages.

    Attributes:
        name: the file's name, `-` for standard input.
        score: the mean over passages, each weighing as many words as it has.
        percentile: of that mean.
        passages: in order.
        answered_by: the pipelines that answered.
    """

    name: str
    score: float
    percentile: float | None
    passages: list[ScoredPassage]
    answered_by: list[str]

    @property
    def hardest(self) -> int:
        """Index of the passage with the lowest score."""
        return min(range(len(self.passages)), key=lambda index: self.passages[index].score)


def score_documents(
    scorer: Scorer,
    documents: Sequence[tuple[str, str]],
    bert_weight: float | None,
    progress: Progress,
) -> list[ScoredDocument]:
    """Score documents, each a name and a text that holds more than white space.

    Raises:
        ReadabilityError: as `Scorer.score` does.
    """
    passages = [cut(text) for _, text in documents]
    texts = [passage.text for parts in passages for passage in parts]
    with progress("scoring", len(texts)) if len(texts) > MUCH_TO_DO else nullcontext(_no_progress) as on_progress:
        scores = scorer.score(texts, bert_weight, on_progress)
    percentile = scorer.served_model().percentile
    details = scores.details or Details.unknown(len(texts), "")
    scored, at = [], 0
    for (name, _), parts in zip(documents, passages, strict=True):
        end = at + len(parts)
        values = scores.values[at:end].astype(float)
        mean = float(np.average(values, weights=[max(part.words, 1) for part in parts]))
        scored.append(
            ScoredDocument(
                name,
                mean,
                percentile(mean),
                [
                    ScoredPassage(
                        part, float(value), percentile(value), details.route[row], bool(details.degraded[row])
                    )
                    for row, (part, value) in enumerate(zip(parts, values, strict=True), start=at)
                ],
                sorted(set(scores.answered_by[at:end])),
            )
        )
        at = end
    return scored


def _no_progress(rows: int) -> None:
    pass
