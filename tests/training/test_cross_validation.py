import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from readability_triton.training import forest
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import (
    Predictions,
    best_epoch,
    best_weight,
    fold_of_rows,
    folds,
    out_of_fold_forest,
)
from readability_triton.training.yardsticks.openings import opening

SEED = 4


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), min_size=5, max_size=80), st.integers(0, 1000))
def test_no_url_stands_on_both_sides_and_every_row_is_held_out_once(sources, seed):
    assume(len(set(sources)) >= 5)
    urls = [f"u{source}" for source in sources]
    cut = list(folds(Corpus(["text"] * len(urls), np.zeros(len(urls)), urls), seed))
    assert len(cut) == 5
    for fit, held_out in cut:
        assert not {urls[row] for row in fit} & {urls[row] for row in held_out}
        assert sorted([*fit, *held_out]) == list(range(len(urls)))
    assert sorted(np.concatenate([held_out for _, held_out in cut])) == list(range(len(urls)))


def test_fewer_sources_than_folds_are_refused():
    with pytest.raises(ValueError, match="groups"):
        list(folds(Corpus(["text"] * 8, np.zeros(8), ["a", "b", "c", "d"] * 2), 0))


epoch_scores = arrays(np.float64, st.tuples(st.integers(1, 5), st.just(6)), elements=st.integers(-3, 3).map(float))


@given(epoch_scores, arrays(np.float64, 6, elements=st.integers(-3, 3).map(float)))
def test_the_best_epoch_is_the_first_with_the_least_error_over_all_rows(scores, targets):
    errors = [float(np.square(epoch - targets).sum()) for epoch in scores]
    assert best_epoch(scores, targets) == errors.index(min(errors))


def test_an_epoch_whose_scores_are_no_numbers_is_never_the_best():
    assert best_epoch(np.array([[1.0, 1.0], [0.5, np.nan], [np.nan, np.nan]]), np.zeros(2)) == 0


def spoilt(corpus: Corpus, url: str) -> tuple[Corpus, np.ndarray]:
    """The corpus with absurd targets for one source, and which rows those are."""
    rows = np.array([each == url for each in corpus.urls])
    return replace(corpus, targets=np.where(rows, 1000.0, corpus.targets)), rows


def test_a_source_never_teaches_the_forest_that_scores_it(corpus, monkeypatch):
    monkeypatch.setattr(forest, "N_TREES", 5)
    other, rows = spoilt(corpus, corpus.urls[7])
    texts = [*corpus.texts, *(opening(text, 2) for text in corpus.texts)]
    fold, of_source = np.tile(fold_of_rows(corpus, SEED), 2), np.tile(rows, 2)
    reported = []
    before, after = (out_of_fold_forest(each, texts, fold, SEED, reported.append) for each in (corpus, other))
    np.testing.assert_array_equal(before[of_source], after[of_source])
    assert (before[~of_source] != after[~of_source]).any()
    assert np.isfinite(before).all()
    assert sum(reported) == 2 * len(texts)


def test_the_fold_of_a_row_is_the_one_that_holds_it_out(corpus):
    fold = fold_of_rows(corpus, SEED)
    for number, (_, held_out) in enumerate(folds(corpus, SEED)):
        assert np.flatnonzero(fold == number).tolist() == held_out.tolist()


columns = arrays(np.float64, 12, elements=st.floats(-4, 4).map(lambda value: round(value, 3)))


@given(columns, columns, columns)
def test_no_weight_of_a_grid_beats_the_best_weight(bert, cuml, targets):
    assume(np.abs(bert - cuml).max() > 0.01)

    def error(weight: float) -> float:
        return float(np.square(weight * bert + (1 - weight) * cuml - targets).mean())

    weight = best_weight(Predictions(bert, cuml), targets)
    assert 0 <= weight <= 1
    assert weight == round(weight, 2)
    assert error(weight) <= min(error(step / 100) for step in range(101)) + 1e-9


@pytest.mark.parametrize(
    ("bert", "cuml", "expected"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-3.0, 0.9, 0.0), (0.9, -3.0, 1.0), (2, 0, 0.5)]
)
def test_the_best_weight_is_clipped_to_a_share(bert, cuml, expected):
    targets = np.linspace(1, 2, 10)
    assert best_weight(Predictions(bert * targets, cuml * targets), targets) == expected


def test_two_scorers_that_always_agree_get_a_weight_that_is_a_share():
    scores = np.linspace(0, 1, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert 0 <= best_weight(Predictions(scores, scores), scores + 1) <= 1
