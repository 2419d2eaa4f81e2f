"""Evidence against a candidate that is no worse stays small at all times; against a worse one it grows."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from readability_triton.watch import betting
from tests.watch.streams import (
    ALPHA,
    N_STREAMS,
    QUANTILES,
    REGRESSION,
    arms,
    evidence,
    first_above,
    fixed_length,
    median,
    pairs,
)

MOST_BY_CHANCE = stats.binom.ppf(0.99, N_STREAMS, ALPHA)
"""The bound is on a probability, and nearly reached over a long time: so many of the streams may lie above it."""

every_quantile = pytest.mark.parametrize("p", QUANTILES.values(), ids=QUANTILES)


def false_alarms(log_es) -> int:
    return sum(first_above(log_e) < math.inf for log_e in log_es)


@every_quantile
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_at_most_5_percent_of_equal_arms_ever_raise_an_alarm(p: float, share: float) -> None:
    alarms = false_alarms(evidence(arms(seed, 4000, share=share), p) for seed in range(N_STREAMS))
    assert alarms <= ALPHA * N_STREAMS


@pytest.mark.slow
@every_quantile
def test_nor_do_they_over_the_whole_length_of_a_test(p: float) -> None:
    n = int(2.5 * fixed_length(p, 0.95))
    alarms = false_alarms(evidence(arms(seed, n), p) for seed in range(N_STREAMS))
    assert alarms <= MOST_BY_CHANCE


@every_quantile
def test_nor_where_the_candidate_is_faster(p: float) -> None:
    alarms = false_alarms(evidence(arms(seed, 3000, 1 / REGRESSION), p) for seed in range(100))
    assert alarms <= ALPHA * 100


@every_quantile
def test_nor_where_times_change_over_the_day_for_both_arms_alike(p: float) -> None:
    def drifting(seed: int):
        data = arms(seed, 3000)
        return betting.log_e_of_quantile(
            data.milliseconds * (1.5 + np.sin(np.arange(3000) / 200)), data.is_candidate, data.shares, p, REGRESSION
        )

    assert false_alarms(map(drifting, range(200))) <= ALPHA * 200


@pytest.mark.slow
@pytest.mark.parametrize(("p", "most"), [(0.5, 0.5), (0.9, 0.5), (0.99, 0.6)])
def test_a_regression_is_found_with_the_share_of_a_fixed_tests_requests_that_docs_say(p: float, most: float) -> None:
    """docs/watch.md has the figures; the aim of one half is missed for p99."""
    n = int(2.5 * fixed_length(p, 0.95))
    found = median(first_above(evidence(arms(seed, n, REGRESSION), p)) for seed in range(300))
    assert found <= most * fixed_length(p, 0.95)


@every_quantile
def test_pairs_that_do_not_differ_raise_no_alarm_and_those_that_do_need_fewer_requests(p: float) -> None:
    def of(seed: int, ratio: float):
        data = pairs(seed, 3000, ratio)
        return betting.log_e_of_pairs(data.first, data.second, p)

    assert false_alarms(of(seed, 1.0) for seed in range(300)) <= ALPHA * 300
    found = median(first_above(of(seed, REGRESSION)) for seed in range(50))
    assert 2 * found <= 0.5 * fixed_length(p, 0.95)


def test_equal_shares_of_wrong_answers_raise_no_alarm_and_others_do() -> None:
    def of(seed: int, more_wrong: float):
        data = arms(seed, 3000, more_wrong=more_wrong)
        return betting.log_e_of_errors(data.is_wrong, data.is_candidate, data.shares)

    assert false_alarms(of(seed, 0.0) for seed in range(N_STREAMS)) <= ALPHA * N_STREAMS
    assert false_alarms(of(seed, 0.05) for seed in range(50)) >= 45


def test_a_share_at_the_limit_raises_no_alarm_and_one_above_does() -> None:
    rng = np.random.default_rng(0)
    trials = np.arange(1.0, 3001)

    def of(share: float):
        return betting.log_e_above(np.cumsum(rng.random(3000) < share), trials, 0.01)

    assert false_alarms(of(0.01) for _ in range(N_STREAMS)) <= ALPHA * N_STREAMS
    assert false_alarms(of(0.001) for _ in range(100)) <= ALPHA * 100
    assert false_alarms(of(0.03) for _ in range(50)) >= 48


@pytest.mark.parametrize(("successes", "trials", "share"), [(0, 0, 0.5), (3, 7, 0.5), (9, 9, 0.01), (40, 41, 0.9)])
def test_the_mixture_is_the_integral_that_it_is_said_to_be(successes: int, trials: int, share: float) -> None:
    def likelihood(x: float) -> float:
        return x**successes * (1 - x) ** (trials - successes)

    def density(x: float) -> float:
        return x**-0.5 * (1 - x) ** -0.5

    mixed, whole = (
        integrate.quad(lambda x, f=f: f(x) * density(x), share, 1, limit=200)[0] for f in (likelihood, lambda _: 1.0)
    )
    found = betting.log_e_above(np.array([float(successes)]), np.array([float(trials)]), share)[0]
    assert found == pytest.approx(math.log(mixed / whole / likelihood(share)), abs=1e-6)


@pytest.mark.parametrize("tilt", [0.1, 2.0])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_bet_gains_nothing_on_average_if_arms_do_not_differ(tilt: float, share: float) -> None:
    beyond, candidate = np.array([[True, True, False, False], [True, False, True, False]])
    gains = np.exp(betting._gains(beyond, candidate, np.full(4, share), 0.2, tilt))
    weights = np.where(candidate, share, 1 - share)
    assert gains[:2] @ weights[:2] == pytest.approx(1.0)
    assert gains[2:] @ weights[2:] == pytest.approx(1.0)


@pytest.mark.parametrize("n", [0, 1, 20, 401])
def test_too_few_requests_are_no_evidence(n: int) -> None:
    data = arms(1, n, 3.0)
    log_e = evidence(data, 0.99)
    assert log_e.shape == (n,)
    np.testing.assert_allclose(log_e[:400], 0.0, atol=1e-12)


def test_times_that_are_all_equal_are_no_evidence() -> None:
    data = arms(1, 500)
    log_e = betting.log_e_of_quantile(np.ones(500), data.is_candidate, data.shares, 0.5, REGRESSION)
    assert np.isfinite(log_e).all()
    assert first_above(log_e) == math.inf
