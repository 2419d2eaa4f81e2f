import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from client.scores import Scores

parts = st.lists(st.integers(0, 5).map(lambda n: Scores(np.arange(n, dtype=np.float32), (f"model{n}",) * n)))


@given(parts)
def test_joined_scores_stand_one_after_the_other_with_who_answered(given_parts):
    joined = Scores.joined(given_parts)
    assert joined.values.tolist() == [value for part in given_parts for value in part.values]
    assert joined.answered_by == tuple(name for part in given_parts for name in part.answered_by)
    assert joined.values.dtype == np.float32
