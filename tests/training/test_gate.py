"""What decides in policy `cascade`: how it is fitted, and what is said of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from readability_triton.stages.features import extract
from readability_triton.stages.forest import n_outputs, predict
from readability_triton.training import gate
from readability_triton.training.bundle import forest_bytes
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.gate import cascade_curve, fit_gate, out_of_fold_gate
from readability_triton.training.metrics import rmse

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
N_ROWS = 400


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N_ROWS, 207)).astype(np.float32)


@pytest.fixture(scope="module")
def gap(features) -> np.ndarray:
    """How far the scorers are apart: much where the fifth feature is high."""
    return np.where(features[:, 5] > 0, 2.0, 0.1)


@pytest.fixture(scope="module")
def targets() -> np.ndarray:
    return np.random.default_rng(1).normal(size=N_ROWS)


@pytest.fixture(scope="module")
def scores(gap, targets) -> Predictions:
    """The encoder is nearly right, the forest is off by the gap, to either side."""
    rng = np.random.default_rng(2)
    bert = targets + 0.05 * rng.normal(size=N_ROWS)
    return Predictions(bert, bert + gap * rng.choice([-1, 1], N_ROWS))


@pytest.fixture(scope="module")
def fitted(features, scores):
    return fit_gate(features, scores, seed=0)


def test_it_is_a_regression_over_all_features_of_which_it_needs_few(fitted, features, gap) -> None:
    assert n_outputs(fitted) == 1
    assert fitted.num_feature == 207
    assert fitted.num_tree == gate.N_TREES
    expected = predict(fitted, features)[:, 0]
    assert expected[gap > 1].min() > expected[gap < 1].max()


def test_it_expects_a_distance_whichever_way_it_is(fitted, features, scores) -> None:
    assert (predict(fitted, features) >= 0).all()
    other_way = fit_gate(features, Predictions(scores.cuml, scores.bert), seed=0)
    np.testing.assert_array_equal(predict(other_way, features), predict(fitted, features))


def test_the_same_seed_gives_the_same_gate(fitted, features, scores) -> None:
    assert fit_gate(features, scores, seed=0).serialize_bytes() == fitted.serialize_bytes()
    assert fit_gate(features, scores, seed=1).serialize_bytes() != fitted.serialize_bytes()


def test_where_the_gap_can_be_foreseen_the_cascade_is_better_than_chance(fitted, features, scores, targets) -> None:
    expected = predict(fitted, features)[:, 0].astype(float)
    (half,) = cascade_curve(expected, scores, targets, [0.45])
    assert half.skipped == 0.45
    assert half.rmse < half.by_chance / 5


def test_where_nothing_can_be_foreseen_it_is_about_chance(scores, targets) -> None:
    points = cascade_curve(np.random.default_rng(3).normal(size=N_ROWS), scores, targets, SHARES)
    assert [point.rmse for point in points] == pytest.approx([point.by_chance for point in points], rel=0.15)


finite = st.floats(-3, 3).map(lambda value: round(value, 3))
rows = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*(arrays(float, n, elements=finite) for _ in range(3)), st.permutations(range(n)))
)


@given(rows, st.lists(st.floats(0, 1), min_size=1, max_size=6).map(sorted))
def test_a_curve_says_of_every_share_what_the_policy_does_at_its_tolerance(rows, shares) -> None:
    bert, cuml, targets, order = rows
    expected = 0.25 + np.array(order, dtype=float)
    points = cascade_curve(expected, Predictions(bert, cuml), targets, shares)
    for point, share in zip(points, shares, strict=True):
        skips = expected <= point.tolerance
        assert point.skipped == skips.mean() == round(share * len(bert)) / len(bert)
        assert point.rmse == pytest.approx(rmse(np.where(skips, cuml, bert), targets))
    assert [point.tolerance for point in points] == sorted(point.tolerance for point in points)


def test_a_curve_leads_from_the_encoder_to_the_forest(fitted, features, scores, targets) -> None:
    first, *_, last = cascade_curve(predict(fitted, features)[:, 0].astype(float), scores, targets, SHARES)
    assert (first.tolerance, first.skipped, last.skipped) == (0.0, 0.0, 1.0)
    for point, each in ((first, scores.bert), (last, scores.cuml)):
        assert point.rmse == pytest.approx(rmse(each, targets))
        assert point.by_chance == pytest.approx(rmse(each, targets))


@pytest.mark.parametrize("n_skipped", range(7))
def test_chance_is_the_mean_over_all_choices_of_as_many_rows(n_skipped: int) -> None:
    rng = np.random.default_rng(n_skipped)
    bert, cuml, targets = rng.normal(size=(3, 6))
    squares = []
    for skipped in itertools.combinations(range(6), n_skipped):
        mixed = bert.copy()
        mixed[list(skipped)] = cuml[list(skipped)]
        squares.append(rmse(mixed, targets) ** 2)
    (point,) = cascade_curve(np.arange(6.0), Predictions(bert, cuml), targets, [n_skipped / 6])
    assert point.by_chance**2 == pytest.approx(np.mean(squares))


@pytest.fixture
def numbered(corpus: Corpus) -> Predictions:
    """Scores by which every row can be reported."""
    rows = np.arange(len(corpus.texts), dtype=float)
    return Predictions(rows, rows + np.abs(corpus.targets))


def test_no_gate_has_seen_the_source_of_a_row_that_it_is_tried_on(corpus: Corpus, numbered, monkeypatch) -> None:
    asked: list[tuple[set[int], int]] = []

    def watched(features, scores: Predictions, seed: int):
        asked.append((set(scores.bert.astype(int)), len(features)))
        return fit_gate(features, scores, seed)

    monkeypatch.setattr(gate, "fit_gate", watched)
    out_of_fold_gate(corpus, numbered, seed=0)
    held_out = [set(range(len(corpus.texts))) - rows for rows, _ in asked]
    assert sorted(row for rows in held_out for row in rows) == list(range(len(corpus.texts)))
    for (rows, n_features), others in zip(asked, held_out, strict=True):
        assert n_features == len(rows)
        assert not {corpus.urls[row] for row in rows} & {corpus.urls[row] for row in others}


def test_what_gates_expect_does_not_depend_on_the_rows_own_scores(corpus: Corpus, numbered) -> None:
    expected = out_of_fold_gate(corpus, numbered, seed=0)
    of_a_source = np.array([url == corpus.urls[0] for url in corpus.urls])
    moved = Predictions(numbered.bert, np.where(of_a_source, numbered.cuml + 100, numbered.cuml))
    again = out_of_fold_gate(corpus, moved, seed=0)
    np.testing.assert_array_equal(again[of_a_source], expected[of_a_source])
    assert not np.array_equal(again[~of_a_source], expected[~of_a_source])


def test_the_same_seed_expects_the_same_and_every_row_something(corpus: Corpus, numbered) -> None:
    expected = out_of_fold_gate(corpus, numbered, seed=0)
    assert expected.shape == (len(corpus.texts),)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(out_of_fold_gate(corpus, numbered, seed=0), expected)


def test_training_fits_the_gate_on_the_scores_of_the_cross_validation(trained, corpus: Corpus) -> None:
    again = fit_gate(extract(corpus.texts, trained.bundle.features), trained.out_of_fold, seed=3)
    assert trained.bundle.gate == forest_bytes(again)
