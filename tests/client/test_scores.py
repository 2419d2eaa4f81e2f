import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.client.scores import Details, Scores


def scores_of(n: int, details: Details | None = None) -> Scores:
    """N scores; that at row r has the interval r - 1 to r + 1 and the level "level r"."""
    values = np.arange(n, dtype=np.float32)
    interval = np.stack([values - 1, values + 1], axis=1)
    return Scores(values, (f"model{n}",) * n, interval, tuple(f"level {row}" for row in range(n)), details)


parts = st.lists(st.integers(0, 5).map(scores_of))


@given(parts)
def test_joined_scores_stand_one_after_the_other_with_who_answered(given_parts):
    joined = Scores.joined(given_parts)
    assert joined.values.tolist() == [value for part in given_parts for value in part.values]
    assert joined.answered_by == tuple(name for part in given_parts for name in part.answered_by)
    assert joined.interval.tolist() == [ends for part in given_parts for ends in part.interval.tolist()]
    assert joined.level == tuple(level for part in given_parts for level in part.level)
    assert joined.values.dtype == joined.interval.dtype == np.float32
    assert joined.interval.shape == (len(joined.values), 2)


def details_of(n: int) -> Details:
    values = np.arange(n, dtype=np.float32)
    return Details(values, values + 1, tuple(f"route {at}" for at in range(n)), values % 2 == 1)


@given(st.lists(st.integers(0, 5), min_size=1))
def test_joined_details_stand_one_after_the_other(sizes):
    parts = [scores_of(n, details_of(n)) for n in sizes]
    details = Scores.joined(parts).details
    for name in ("bert", "cuml", "degraded"):
        expected = [value for part in parts for value in getattr(part.details, name)]
        assert getattr(details, name).tolist() == expected
    assert details.route == tuple(route for part in parts for route in part.details.route)
    assert (details.bert.dtype, details.degraded.dtype) == (np.float32, np.bool_)


def test_there_are_no_details_where_a_part_has_none():
    assert Scores.joined([scores_of(2), scores_of(1, details_of(1))]).details is None
    assert Scores.joined([]).details is None


def test_what_a_pipeline_does_not_say_is_no_number():
    details = Details.unknown(3, "ensemble_all")
    assert np.isnan(details.bert).all()
    assert np.isnan(details.cuml).all()
    assert details.route == ("ensemble_all",) * 3
    assert not details.degraded.any()


def test_deferred_intervals_and_levels_are_computed_when_first_read_and_then_kept():
    calls = []

    def compute():
        calls.append(1)
        return np.zeros((2, 2), np.float32), ("A1", "B1")

    scores = Scores.deferred(np.zeros(2, np.float32), ("m", "m"), compute, None, None)
    assert calls == []
    assert scores.level == ("A1", "B1")
    assert scores.interval.shape == (2, 2)
    assert Scores.joined([scores, scores_of(1)]).level == ("A1", "B1", "level 0")
    assert calls == [1]


def test_deferred_scores_can_be_pickled_before_they_are_read():
    later = partial(tuple, [np.ones((1, 2), np.float32), ("C1",)])
    scores = pickle.loads(pickle.dumps(Scores.deferred(np.ones(1, np.float32), ("m",), later, None, None)))
    assert (scores.values.tolist(), scores.interval.tolist(), scores.level) == ([1.0], [[1.0, 1.0]], ("C1",))


def test_another_name_is_no_attribute_of_scores():
    with pytest.raises(AttributeError, match="no attribute 'levels'"):
        _ = scores_of(1).levels
