"""Intervals against truths that are known, over many simulated comparisons."""

import numpy as np
import pytest

from readability_triton.compare import figures
from readability_triton.compare.figures import (
    Interval,
    compare_latency,
    compare_throughput,
    latencies,
    shown_percentiles,
    throughput,
)
from readability_triton.compare.load import Block, Sample

N_BLOCKS, N_REQUESTS, N_COMPARISONS = 15, 20, 150


def block(seconds: np.ndarray) -> Block:
    return Block([Sample(0, 0.0, 0.0, float(each)) for each in seconds], 0, float(seconds.sum()), 0.0)


def blocks(rng: np.random.Generator, mean: float, machine: np.ndarray) -> list[Block]:
    """Exponential latencies, all of a block slowed alike by what else the machine does."""
    return [block(rng.exponential(mean, N_REQUESTS) * slow) for slow in machine]


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "N_RESAMPLES", 300)


def test_intervals_hold_the_truth_as_often_as_they_say(few_resamples):
    rng = np.random.default_rng(0)
    held = []
    for number in range(N_COMPARISONS):
        second_mean = 0.01 if number % 2 else 0.013  # equal arms, and arms that differ
        machine = rng.lognormal(0, 0.3, N_BLOCKS)
        first, second = blocks(rng, 0.01, machine), blocks(rng, second_mean, machine)
        found = [compare_latency(first, second, [50])[0].ratio, compare_throughput(first, second).ratio]
        truths = (second_mean / 0.01, 0.01 / second_mean)
        held.append([each.low <= truth <= each.high for each, truth in zip(found, truths, strict=True)])
    # 95 of 100 on average; 150 comparisons stay above 90 with a chance of 99 %.
    assert np.mean(held, axis=0).min() >= 0.90


def test_a_difference_that_is_there_is_found(few_resamples):
    rng = np.random.default_rng(1)
    machine = rng.lognormal(0, 0.3, 25)
    first, second = blocks(rng, 0.01, machine), blocks(rng, 0.02, machine)
    assert compare_latency(first, second, [50])[0].difference.excludes(0)
    assert compare_throughput(first, second).ratio.excludes(1)


def test_figures_are_those_of_all_requests():
    first = [block(np.array([1.0, 2.0, 3.0])), block(np.array([4.0, 5.0]))]
    second = [block(np.array([2.0, 4.0, 6.0])), block(np.array([8.0, 10.0]))]
    (p50,) = compare_latency(first, second, [50])
    assert (p50.first, p50.second, p50.difference.value, p50.ratio.value) == (3.0, 6.0, 3.0, 2.0)
    rate = compare_throughput(first, second)
    assert (rate.first, rate.second, rate.ratio.value) == pytest.approx((5 / 15, 5 / 30, 0.5))
    assert throughput(first) == pytest.approx(5 / 15)


def test_failed_requests_have_no_latency_and_are_not_answered():
    failed = Block([Sample(0, 0.0, 0.0, 1.0), Sample(1, 0.0, 0.0, 9.0, "error")], 0, 2.0, 0.0)
    assert latencies([failed]).tolist() == [1.0]
    assert throughput([failed]) == failed.throughput == 0.5


@pytest.mark.parametrize(
    ("n_requests", "shown"), [(1, [50]), (99, [50]), (100, [50, 90]), (200, [50, 90, 95]), (1000, [50, 90, 95, 99])]
)
def test_a_percentile_is_shown_only_if_enough_requests_lie_beyond(n_requests, shown):
    assert shown_percentiles(n_requests) == shown


def test_an_interval_knows_which_side_it_is_on():
    assert Interval(2, 1, 3).excludes(0)
    assert Interval(-2, -3, -1).excludes(0)
    assert not Interval(0.5, -1, 3).excludes(0)
    assert Interval(0.5, -4, 3).reach == 4
