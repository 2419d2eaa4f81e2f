"""The blend weight is the one that costs least by every yardstick whose texts all have out-of-fold scores."""

from functools import partial

import numpy as np
import pytest

from readability_triton.training.bundle import OutOfFold
from readability_triton.training.corpus import Corpus
from readability_triton.training.yardsticks.blend_weight import choose_weight, cost
from readability_triton.training.yardsticks.figure import Figure
from readability_triton.training.yardsticks.measure import UnknownTextError
from readability_triton.training.yardsticks.openings import error_by_sentences, opening

TEXTS = [
    f"The hen number {row} sat. It was warm there. It slept until noon. Then it rained. All fled." for row in range(6)
]
CORPUS = Corpus(TEXTS, np.linspace(-2, 1, 6), [f"u{row}" for row in range(6)])
OPENINGS = [opening(text, n) for n in (1, 2, 3) for text in TEXTS]
YARDSTICKS = [partial(error_by_sentences, CORPUS)]


def known(rows_weight: float, openings_weight: float, texts: list[str]) -> OutOfFold:
    """Scores with the least error at one weight on rows, at another on openings."""
    off = np.resize([1.0, -1.0], 6)
    weights = np.array([rows_weight] * 6 + [openings_weight] * len(OPENINGS))
    error = np.tile(off, 4)
    targets = np.tile(CORPUS.targets, 4)
    # At weight w: target + (w - best) * error + a share of the error that no weight removes.
    bert, cuml = (targets + (share - weights) * error + 0.1 * np.roll(error, 1) ** 2 for share in (1, 0))
    return OutOfFold.of([*TEXTS, *OPENINGS][: len(texts)], bert[: len(texts)], cuml[: len(texts)])


def test_rows_alone_decide_where_an_opening_has_no_score() -> None:
    assert choose_weight(known(0.8, 0.2, TEXTS), CORPUS, YARDSTICKS) == 0.8
    assert choose_weight(known(0.8, 0.2, [*TEXTS, *OPENINGS[:-1]]), CORPUS, YARDSTICKS) == 0.8


def test_openings_decide_too_where_all_have_scores() -> None:
    assert choose_weight(known(0.8, 0.8, [*TEXTS, *OPENINGS]), CORPUS, YARDSTICKS) == 0.8
    assert 0.2 < choose_weight(known(0.8, 0.2, [*TEXTS, *OPENINGS]), CORPUS, YARDSTICKS) < 0.8


def test_a_row_without_scores_is_an_error() -> None:
    with pytest.raises(UnknownTextError, match="1 of 6 texts"):
        choose_weight(known(0.8, 0.8, TEXTS[:-1]), CORPUS, [])


def test_kinds_count_alike_and_what_is_best_by_each_costs_nothing() -> None:
    figures = [
        Figure("RMSE", 9, np.array([1.0, 2.0]), "RMSE"),
        Figure("pairs, one", 9, np.array([0.9, 0.5]), "pairs"),
        Figure("pairs, two", 9, np.array([0.9, 0.7]), "pairs"),
        Figure("not defined", 9, np.array([np.nan, 1.0]), "levels"),
        Figure("edited", 9, np.array([0.0, 5.0]), "sensitivity"),
    ]
    np.testing.assert_allclose(cost(figures), [0, (1 + (0.4 + 0.2) / 2) / 2])
    with pytest.raises(ValueError, match="no figure"):
        cost(figures[3:])
