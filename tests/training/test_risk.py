import numpy as np
import pytest

from readability_triton.training.risk import largest_safe_share


def drawn(seed, n=2000, worse=0.0):
    """Targets, full scores, and quick ones whose error grows with what is expected."""
    random = np.random.default_rng(seed)
    targets = random.normal(size=n)
    full = targets + random.normal(scale=0.5, size=n)
    expected = random.uniform(size=n)
    quick = full + random.normal(size=n) * worse * expected
    return expected, quick, full, targets, [f"u{row // 2}" for row in range(n)]


def test_equal_scores_may_all_skip():
    assert largest_safe_share(*drawn(1)) == 1.0


def test_scores_that_are_far_worse_may_not():
    expected, quick, full, targets, urls = drawn(2)
    assert largest_safe_share(expected, quick + 3, full, targets, urls) == 0.0


@pytest.mark.parametrize("worse", [0.3, 0.6])
def test_a_larger_bound_or_less_confidence_lets_more_skip(worse):
    data = drawn(3, worse=worse)
    strict, loose = largest_safe_share(*data), largest_safe_share(*data, more=0.05)
    assert 0 < strict < loose
    assert largest_safe_share(*data, confidence=0.8) >= strict


def test_the_bound_holds_on_new_rows_as_often_as_is_said():
    broken = 0
    new = drawn(1000, n=40_000, worse=0.6)
    for seed in range(100):
        share = largest_safe_share(*drawn(seed, n=600, worse=0.6))
        expected, quick, full, targets, _ = new
        skip = expected <= np.quantile(expected, share) if share else np.zeros(len(expected), bool)
        cascaded = np.where(skip, quick, full)
        error, before = (np.sqrt(np.mean((each - targets) ** 2)) for each in (cascaded, full))
        broken += error > 1.01 * before
    assert broken <= 11  # 5 expected; a binomial of 100 exceeds 11 once in 200
