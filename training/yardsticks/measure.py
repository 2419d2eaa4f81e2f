"""All yardsticks that the data at hand allow, at several blend weights: the encoder is 1, the forest 0."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.bundle import OutOfFold
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.evaluate import predict_as_built
from readability_triton.training.yardsticks.figure import Figure, Score
from readability_triton.training.yardsticks.levels import correlation_with_levels, read_levels
from readability_triton.training.yardsticks.openings import error_by_sentences
from readability_triton.training.yardsticks.pairs import Pairs, pairs_in_order, read_pairs
from readability_triton.training.yardsticks.sensitivity import sensitivity

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
Yardstick = Callable[[Score], list[Figure]]


class UnknownTextError(LookupError):
    """A text has no out-of-fold score."""


def score_as_built(pipeline: InProcessPipeline, weights: Sequence[float], progress: Progress) -> Score:
    """Scores FP64 [W, N] of texts by the models as built, blended with W weights."""

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        with progress("scoring", len(texts)) as on_progress:
            return blends(predict_as_built(texts, pipeline, on_progress), weights)

    return score


def score_out_of_fold(known: OutOfFold, weights: Sequence[float]) -> Score:
    """Scores FP64 [W, N] that texts got in the cross-validation; `UnknownTextError` for a text that was not in it."""

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        scores, unknown = known.scores(texts)
        if len(unknown):
            raise UnknownTextError(f"{len(unknown)} of {len(texts)} texts have no out-of-fold score")
        return blends(Predictions(*scores), weights)

    return score


def blends(scores: Predictions, weights: Sequence[float]) -> NDArray[np.float64]:
    """Scores FP64 [W, N] at W weights of the encoder."""
    share = np.asarray(weights, dtype=float)[:, None]
    return share * scores.bert + (1 - share) * scores.cuml


def yardsticks_of_files(pairs: Sequence[Path], levels: Sequence[Path]) -> list[Yardstick]:
    """Pairs in order of each file of pairs, and rank correlations of each source in the files of levels.

    Every file is read before the first text is scored.

    Raises:
        YardstickError: if a file is not what its yardstick needs.
        OSError: if one cannot be read.
    """
    of_pairs = [partial(_pairs, read_pairs(path), path.stem) for path in pairs]
    of_levels = [partial(correlation_with_levels, read_levels(path)) for path in levels]
    return [*of_pairs, *of_levels]


def yardsticks_of_corpus(corpus: Corpus) -> list[Yardstick]:
    """Error by number of sentences, and sensitivity at fixed topic."""
    return [partial(error_by_sentences, corpus), partial(sensitivity, corpus.texts)]


def measure(yardsticks: Sequence[Yardstick], as_built: Score | None, out_of_fold: Score) -> list[Figure]:
    """Figures out of fold, named so, where every text of a yardstick has such scores, else by the models as built.

    Without `as_built`, a yardstick whose texts are not known is left out.
    """
    figures = []
    for yardstick in yardsticks:
        try:
            figures += [replace(figure, name=f"{figure.name}, out of fold") for figure in yardstick(out_of_fold)]
        except UnknownTextError:
            figures += yardstick(as_built) if as_built is not None else []
    return figures


def _pairs(pairs: Pairs, name: str, score: Score) -> list[Figure]:
    return [pairs_in_order(pairs, score, name)]
