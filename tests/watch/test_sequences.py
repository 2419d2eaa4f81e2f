"""Confidence sequences hold the truth at every look at once, and shrink."""

import math

import numpy as np
import pytest
from scipy import special, stats

from readability_triton.watch.sequences import (
    Interval,
    log_martingale,
    median_interval,
    quantile_intervals,
    share_difference,
    share_interval,
)
from tests.watch.streams import ALPHA, QUANTILES, SIGMA, arms, pairs

N, N_STREAMS = 4000, 200
LOOKS = np.unique(np.geomspace(10, N, 40).astype(int))
every_quantile = pytest.mark.parametrize("p", QUANTILES.values(), ids=QUANTILES)


def holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


@every_quantile
@pytest.mark.parametrize("ratio", [1.0, 1.1])
def test_ratio_and_difference_of_quantiles_are_in_their_intervals_at_all_times(p: float, ratio: float) -> None:
    quantile = 30 * math.exp(SIGMA * stats.norm.ppf(p))
    missed = np.zeros(2)
    for seed in range(N_STREAMS):
        data = arms(seed, N, ratio)
        looks = [
            quantile_intervals(
                data.milliseconds[:n][~data.is_candidate[:n]],
                data.milliseconds[:n][data.is_candidate[:n]],
                p,
                ALPHA,
                True,
            )
            for n in LOOKS
        ]
        missed += [
            not all(holds(look.ratio, ratio) for look in looks),
            not all(holds(look.difference, (ratio - 1) * quantile) for look in looks),
        ]
    assert (missed <= ALPHA * N_STREAMS).all()


@every_quantile
def test_so_they_are_for_pairs_which_depend_on_each_other(p: float) -> None:
    missed = 0
    for seed in range(N_STREAMS):
        data = pairs(seed, N // 2, 1.1)
        missed += not all(
            holds(quantile_intervals(data.first[:n], data.second[:n], p, ALPHA, False).ratio, 1.1)
            for n in LOOKS[LOOKS <= N // 2]
        )
    assert missed <= ALPHA * N_STREAMS


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
def test_a_share_is_in_its_interval_at_all_times(share: float) -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(N_STREAMS):
        successes = np.cumsum(rng.random(N) < share)
        missed += not all(holds(share_interval(int(successes[n - 1]), int(n), ALPHA), share) for n in LOOKS[::4])
    assert missed <= ALPHA * N_STREAMS


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.02, 0.02), (0.3, 0.1)])
def test_the_difference_of_shares_is_in_its_interval_at_all_times(shares: tuple[float, float]) -> None:
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(N_STREAMS):
        first, second = (np.cumsum(rng.random(N) < share) for share in shares)
        missed += not all(
            holds(
                share_difference((int(first[n - 1]), int(n)), (int(second[n - 1]), int(n)), ALPHA),
                shares[1] - shares[0],
            )
            for n in LOOKS[::4]
        )
    assert missed <= ALPHA * N_STREAMS


def test_intervals_shrink_and_a_difference_is_seen() -> None:
    data = arms(1, 60_000, 1.1)
    widths = []
    for n in (2000, 8000, 60_000):
        arm, times = data.is_candidate[:n], data.milliseconds[:n]
        low, high = quantile_intervals(times[~arm], times[arm], 0.9, ALPHA, True).ratio
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert 1.0 < low < 1.1 < high


@pytest.mark.parametrize("p", [0.5, 0.99])
def test_the_product_of_both_martingales_is_what_bounds_them(p: float) -> None:
    """By trying every pair of ranks, which is what the fast search must agree with."""
    data = arms(5, 120)
    first, second = data.milliseconds[~data.is_candidate], data.milliseconds[data.is_candidate]
    costs, edges = [], []
    for values in (first, second):
        n = len(values)
        costs.append(log_martingale(np.arange(n + 1.0), n, p, 400 * p, 400 * (1 - p)))
        edges.append(np.concatenate([[0.0], np.sort(values), [math.inf]]))
    held = [
        (i, j)
        for i in range(len(first) + 1)
        for j in range(len(second) + 1)
        if costs[0][i] + costs[1][j] < -math.log(ALPHA)
    ]
    with np.errstate(divide="ignore"):
        low = min(edges[1][j] / edges[0][i + 1] for i, j in held)
        high = max(edges[1][j + 1] / edges[0][i] if edges[0][i] else math.inf for i, j in held)
    assert quantile_intervals(first, second, p, ALPHA, True).ratio == pytest.approx((low, high))


def test_one_median_is_held_by_its_interval() -> None:
    low, high = median_interval(np.random.default_rng(1).lognormal(0.0, 0.2, 2000), ALPHA)
    assert 0.95 < low < 1 < high < 1.05


def test_the_martingale_is_the_ratio_of_a_mixture_to_the_likelihood() -> None:
    s, n, share, a, b = 7.0, 20.0, 0.3, 2.0, 5.0
    mixed = special.beta(a + s, b + n - s) / special.beta(a, b)
    expected = math.log(mixed / (share**s * (1 - share) ** (n - s)))
    assert float(log_martingale(s, n, share, a, b)) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "m"), [(0, 5), (5, 0), (1, 1)])
def test_without_requests_everything_is_possible(n: int, m: int) -> None:
    ratio = quantile_intervals(np.arange(1.0, n + 1), np.arange(1.0, m + 1), 0.5, ALPHA, True).ratio
    assert (ratio.low, ratio.high) == (0.0, math.inf)
    assert share_interval(0, 0, ALPHA) == (0.0, 1.0)
    assert share_difference((0, 0), (0, 0), ALPHA) == (-1.0, 1.0)
