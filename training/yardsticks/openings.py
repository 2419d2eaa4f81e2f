"""Error by number of sentences: how far a score of a text's first sentences lies from the score of the whole."""

from collections.abc import Sequence

import numpy as np

from readability_triton.stages.sentences import sentence_spans
from readability_triton.training.corpus import Corpus
from readability_triton.training.metrics import rmse
from readability_triton.training.yardsticks.figure import Figure, Score

SENTENCES = (1, 2, 3, 5)


def opening(text: str, n_sentences: int) -> str:
    """The first sentences of a text; the whole text where it has no more."""
    spans = list(sentence_spans(text))[:n_sentences]
    return text[spans[0][0] : spans[-1][1]] if spans else text


def error_by_sentences(corpus: Corpus, score: Score, counts: Sequence[int] = SENTENCES) -> list[Figure]:
    """RMSE against the excerpts' human scores when only their first sentences are scored; one figure a count."""
    figures = []
    for count in counts:
        scores = score([opening(text, count) for text in corpus.texts])
        values = np.array([rmse(each, corpus.targets) for each in scores])
        figures.append(
            Figure(f"RMSE, first {count} sentence{'s' if count > 1 else ''}", len(corpus.texts), values, "openings")
        )
    return figures
