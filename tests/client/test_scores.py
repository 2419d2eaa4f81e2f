import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.client.scores import Details, Scores

parts = st.lists(st.integers(0, 5).map(lambda n: Scores(np.arange(n, dtype=np.float32), (f"model{n}",) * n)))


@given(parts)
def test_joined_scores_stand_one_after_the_other_with_who_answered(given_parts):
    joined = Scores.joined(given_parts)
    assert joined.values.tolist() == [value for part in given_parts for value in part.values]
    assert joined.answered_by == tuple(name for part in given_parts for name in part.answered_by)
    assert joined.values.dtype == np.float32


def details_of(n: int) -> Details:
    values = np.arange(n, dtype=np.float32)
    return Details(values, values + 1, tuple(f"route {at}" for at in range(n)), values % 2 == 1)


@given(st.lists(st.integers(0, 5), min_size=1))
def test_joined_details_stand_one_after_the_other(sizes):
    parts = [Scores(np.zeros(n, np.float32), ("m",) * n, details_of(n)) for n in sizes]
    details = Scores.joined(parts).details
    for name in ("bert", "cuml", "degraded"):
        expected = [value for part in parts for value in getattr(part.details, name)]
        assert getattr(details, name).tolist() == expected
    assert details.route == tuple(route for part in parts for route in part.details.route)
    assert (details.bert.dtype, details.degraded.dtype) == (np.float32, np.bool_)


def test_there_are_no_details_where_a_part_has_none():
    plain = Scores(np.zeros(2, np.float32), ("m", "m"))
    assert Scores.joined([plain, Scores(np.zeros(1, np.float32), ("m",), details_of(1))]).details is None
    assert Scores.joined([]).details is None


def test_what_a_pipeline_does_not_say_is_no_number():
    details = Details.unknown(3, "ensemble_all")
    assert np.isnan(details.bert).all()
    assert np.isnan(details.cuml).all()
    assert details.route == ("ensemble_all",) * 3
    assert not details.degraded.any()
