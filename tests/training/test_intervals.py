import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.training.intervals import FEWEST, calibrate, coverage


def texts(n: int, seed: int):
    """Scores, targets and lengths; short and hard texts err more, and hard ones are called too easy."""
    rng = np.random.default_rng(seed)
    words = rng.choice([5, 25, 50, 100, 180], n)
    scores = rng.normal(size=n)
    spread = 0.4 + 2 / np.sqrt(words) + 0.3 * (scores < 0)
    return scores, scores - 0.4 * (scores < -0.5) + spread * rng.standard_t(5, n), words


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_new_texts_are_held_as_often_as_was_asked_for_in_every_band(level):
    table = calibrate(*texts(20_000, 0), level)
    for name, n, held, width in coverage(table, *texts(40_000, 1)):
        assert held == pytest.approx(level, abs=0.025), (name, n)
        assert width > 0


def test_short_texts_have_wider_intervals():
    table = calibrate(*texts(6000, 0))
    widths = [width for _, _, _, width in coverage(table, *texts(6000, 1))[1:]]
    assert len(widths) == 5
    assert widths == sorted(widths, reverse=True)


@settings(deadline=None, max_examples=20)
@given(st.integers(19, 900), st.integers(0, 99))
def test_the_texts_calibrated_on_are_held_at_least_as_often(n, seed):
    scores, targets, words = texts(n, seed)
    table = calibrate(scores, targets, words)
    held = coverage(table, scores, targets, words)[0][2]
    assert held >= 0.9 - 2 / n - 1e-4 * n


def test_bands_with_few_texts_are_joined():
    scores, targets, words = texts(FEWEST + 20, 3)
    table = calibrate(scores, targets, np.where(words < 40, 40, words))
    assert len(table.words) <= 1
    assert all(len(each) == len(edges) + 1 for each, edges in zip(table.low, table.scores, strict=True))


def test_nothing_is_said_of_texts_longer_than_those_calibrated_on():
    table = calibrate(*texts(500, 0))
    assert table.longest == 180
    low, high = table.interval(np.zeros(2), np.array([180, 181]))
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()


def test_too_few_texts_for_the_level_are_refused():
    with pytest.raises(ValueError, match="18 texts are too few for intervals that hold 90%; 19 are needed"):
        calibrate(*texts(18, 0))
