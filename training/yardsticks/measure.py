"""All yardsticks that the data at hand allow, for encoder, forest and blend."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.corpus import Corpus
from readability_triton.training.evaluate import predict_as_built
from readability_triton.training.yardsticks.figure import Figure, Score
from readability_triton.training.yardsticks.levels import correlation_with_levels, read_levels
from readability_triton.training.yardsticks.openings import error_by_sentences
from readability_triton.training.yardsticks.pairs import pairs_in_order, read_pairs
from readability_triton.training.yardsticks.sensitivity import sensitivity

SCORERS = ("encoder", "forest", "blend")
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def scorer(pipeline: InProcessPipeline, bert_weight: float, progress: Progress) -> Score:
    """Scores FP64 [3, N] of texts by the models as built, in the order of `SCORERS`."""

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        with progress("scoring", len(texts)) as on_progress:
            bert, cuml = predict_as_built(texts, pipeline, on_progress)
        return np.stack([bert, cuml, bert_weight * bert + (1 - bert_weight) * cuml])

    return score


def measure_files(pairs: Sequence[Path], levels: Sequence[Path], score: Score) -> list[Figure]:
    """Pairs in order of each file of pairs, and rank correlations of each source in the files of levels.

    Every file is read before the first text is scored.

    Raises:
        YardstickError: if a file is not what its yardstick needs.
        OSError: if one cannot be read.
    """
    all_pairs = [(path, read_pairs(path)) for path in pairs]
    all_levels = [read_levels(path) for path in levels]
    figures = [pairs_in_order(each, score, path.stem) for path, each in all_pairs]
    return figures + [figure for each in all_levels for figure in correlation_with_levels(each, score)]


def measure_corpus(corpus: Corpus, score: Score) -> list[Figure]:
    """Error by number of sentences, and sensitivity at fixed topic."""
    return error_by_sentences(corpus, score) + sensitivity(corpus.texts, score)
