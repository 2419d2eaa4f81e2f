import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import root_mean_squared_error

from readability_triton.training import metrics
from readability_triton.training.metrics import measure, pearson, rmse, spearman

columns = arrays(np.float64, st.shared(st.integers(3, 30), key="n"), elements=st.integers(-20, 20).map(float))


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(metrics, "N_RESAMPLES", 200)


@given(columns, columns)
def test_figures_are_those_of_scipy_and_scikit_learn_ties_included(scores, targets):
    assume(np.ptp(scores) > 0)
    assume(np.ptp(targets) > 0)
    assert rmse(scores, targets) == pytest.approx(root_mean_squared_error(targets, scores))
    assert pearson(scores, targets) == pytest.approx(stats.pearsonr(scores, targets).statistic)
    assert spearman(scores, targets) == pytest.approx(stats.spearmanr(scores, targets).statistic)


def noisy(seed: int, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=n)
    return targets + rng.normal(scale=0.5, size=n), targets


@pytest.mark.usefixtures("few_resamples")
@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_intervals_hold_their_figure(seed):
    scores, targets = noisy(seed)
    measured = measure(scores, targets, [str(row // 2) for row in range(80)])
    for estimate, figure in zip(
        (measured.rmse, measured.pearson, measured.spearman), (rmse, pearson, spearman), strict=True
    ):
        assert estimate.value == figure(scores, targets)
        assert estimate.low < estimate.value < estimate.high


def test_the_interval_is_scipys_bootstrap_where_every_row_is_a_source_of_its_own():
    scores, targets = noisy(0)
    expected = stats.bootstrap(
        (scores, targets), rmse, paired=True, vectorized=False, method="percentile", n_resamples=2000, random_state=1
    ).confidence_interval
    found = measure(scores, targets, [str(row) for row in range(80)]).rmse
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.02)


@pytest.mark.usefixtures("few_resamples")
def test_rows_of_one_source_count_as_one_draw():
    scores, targets = noisy(0)
    single = measure(scores, targets, ["the same"] * 80).rmse
    assert (single.low, single.high) == (single.value, single.value)
    # Each row four times tells no more than each row once, if the copies are of one source.
    urls = [str(row) for row in range(80)]
    once, copied, blind = (
        measure(np.tile(scores, n), np.tile(targets, n), named).rmse
        for n, named in ((1, urls), (4, urls * 4), (4, [str(row) for row in range(320)]))
    )
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.3)
    assert blind.high - blind.low < 0.7 * (once.high - once.low)


@pytest.mark.usefixtures("few_resamples")
def test_intervals_are_the_same_for_the_same_seed_and_differ_for_another():
    scores, targets = noisy(0)
    urls = [str(row) for row in range(80)]
    assert measure(scores, targets, urls, seed=1) == measure(scores, targets, urls, seed=1)
    assert measure(scores, targets, urls, seed=1) != measure(scores, targets, urls, seed=2)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_constant_scores_have_an_error_but_no_correlation():
    _, targets = noisy(0)
    measured = measure(np.zeros(80), targets, [str(row) for row in range(80)])
    assert measured.rmse.value == pytest.approx(np.sqrt(np.mean(targets**2)))
    assert np.isnan(measured.pearson.value)
    assert np.isnan(measured.spearman.value)
