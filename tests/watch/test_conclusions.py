"""What is concluded from streams whose truth is known, at any time."""

import math

import numpy as np
import pytest

from readability_triton.watch.conclusions import MEASURES, Limits, conclude
from tests.watch.streams import ALPHA, arms, pairs

LIMITS = Limits()


def verdicts(conclusion) -> dict[str, str]:
    return {one.measure: one.verdict for one in conclusion.findings}


@pytest.mark.slow
def test_at_most_5_percent_of_equal_arms_are_ever_called_worse_in_any_measure() -> None:
    alarms = sum(conclude(arms(seed, 2500), LIMITS).verdict == "worse" for seed in range(500))
    assert alarms <= ALPHA * 500


@pytest.mark.slow
def test_at_most_5_percent_of_equal_pairs_are() -> None:
    alarms = sum(conclude(pairs(seed, 1000), LIMITS).verdict == "worse" for seed in range(300))
    assert alarms <= ALPHA * 300


def test_equal_arms_are_found_to_be_no_worse_with_enough_requests() -> None:
    assert conclude(arms(1, 2000), LIMITS).verdict == "undecided"
    found = conclude(arms(1, 30_000), LIMITS)
    assert found.verdict == "no worse"
    assert tuple(verdicts(found)) == MEASURES
    assert sum(found.n) == 30_000
    assert all(one.interval.low <= one.estimate <= one.interval.high for one in found.findings)


def test_a_regression_is_called_worse_and_where() -> None:
    found = conclude(arms(1, 5000, 1.3), LIMITS)
    assert found.verdict == "worse"
    assert verdicts(found) | {"p99": "worse"} == {"p50": "worse", "p90": "worse", "p99": "worse", "wrong": "undecided"}
    assert conclude(arms(1, 5000, 1 / 1.3), LIMITS).findings[0].verdict == "no worse"


def test_more_wrong_answers_are_called_worse() -> None:
    found = verdicts(conclude(arms(1, 4000, more_wrong=0.1), LIMITS))
    assert found["wrong"] == "worse"
    assert "worse" not in (found["p50"], found["p90"], found["p99"])


def test_within_the_margin_is_no_worse_even_where_the_difference_is_sure() -> None:
    found = conclude(arms(1, 60_000, 1.05), Limits(margin=0.2, measures=["p50"]))
    assert found.findings[0].log_e > math.log(20)
    assert found.verdict == "no worse"


def test_pairs_show_a_small_regression_early() -> None:
    found = conclude(pairs(1, 300, 1.1), LIMITS)
    assert next(iter(verdicts(found).items())) == ("pair", "worse")
    assert conclude(pairs(1, 20_000, 1.0), LIMITS).verdict == "no worse"
    assert verdicts(conclude(pairs(1, 2000, 1.0, wrong=0.05), LIMITS))["wrong"] == "worse"


def test_only_the_measures_asked_for_count() -> None:
    found = conclude(arms(1, 4000, more_wrong=0.1), Limits(measures=["p50"]))
    assert list(verdicts(found)) == ["p50"]
    assert found.verdict == "no worse"


def test_an_earlier_conclusion_holds_still() -> None:
    data = arms(2, 4000, 1.1)
    early = conclude(arms(2, 2000, 1.1), LIMITS)
    now, alone = conclude(data, LIMITS, early), conclude(data, LIMITS)
    for before, after, fresh in zip(early.findings, now.findings, alone.findings, strict=True):
        assert after.interval.low == max(before.interval.low, fresh.interval.low)
        assert after.interval.high == min(before.interval.high, fresh.interval.high)
        assert after.log_e >= max(before.log_e, fresh.log_e)


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_little_data_is_undecided(n: int) -> None:
    assert conclude(arms(0, n), LIMITS).verdict == "undecided"
    assert conclude(pairs(0, n), LIMITS).verdict == "undecided"
    assert all(np.isfinite(one.log_e) for one in conclude(arms(0, n), LIMITS).findings)
