"""One score from two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from readability_triton.stages.blend import blend, check_weights
from readability_triton.stages.errors import InvalidRowError

NO_SHARES = {
    "nan": np.nan,
    "above": 2.0,
    "just above": np.nextafter(np.float32(1), np.float32(2)),
    "below": -0.5,
    "just below": -np.finfo(np.float32).smallest_subnormal,
    "infinite": np.inf,
    "minus infinite": -np.inf,
}
quick = settings(deadline=None, max_examples=100)
share = st.floats(0, 1, width=32)
score = st.floats(-4, 4, width=32)


def column(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def columns(elements: st.SearchStrategy[float]) -> st.SearchStrategy[NDArray[np.float32]]:
    return arrays(np.float32, (3, 1), elements=elements)


def test_each_row_is_blended_with_its_own_weight() -> None:
    blended = blend(column(0.0, 0.25, 0.75, 1.0), column(4, 4, 4, 4), column(-4, -4, -4, -4))
    assert blended.tolist() == [[-4.0], [-2.0], [2.0], [4.0]]


@quick
@given(columns(share), columns(score), columns(score))
def test_a_blend_stays_fp32_and_lies_between_its_scores(weights, bert, cuml) -> None:
    blended = blend(weights, bert, cuml)
    assert (blended.dtype, blended.shape) == (np.float32, (3, 1))
    assert (blended >= np.minimum(bert, cuml) - 1e-5).all()
    assert (blended <= np.maximum(bert, cuml) + 1e-5).all()


@quick
@given(columns(share), columns(score), columns(score))
def test_a_blend_is_the_weighted_mean(weights, bert, cuml) -> None:
    truth = [np.average([b, c], weights=[w, 1 - w]) for w, b, c in np.hstack([weights, bert, cuml]).tolist()]
    np.testing.assert_allclose(blend(weights, bert, cuml).ravel(), truth, atol=1e-5)


@pytest.mark.parametrize("place", range(3))
def test_shapes_that_differ_are_refused_and_never_broadcast(place: int) -> None:
    arrays = [column(1, 0), column(2, 3), column(4, 5)]
    arrays[place] = arrays[place].ravel()
    with pytest.raises(ValueError, match=r"different shapes: .*\[2\]"):
        blend(*arrays)


@quick
@given(columns(share))
def test_every_share_is_accepted(weights: NDArray[np.float32]) -> None:
    check_weights(weights)


def test_minus_zero_is_zero() -> None:
    check_weights(column(-0.0))


@pytest.mark.parametrize("weight", NO_SHARES.values(), ids=NO_SHARES.keys())
def test_what_is_no_share_is_refused_by_row(weight: float) -> None:
    with pytest.raises(InvalidRowError) as caught:
        check_weights(column(0.5, weight, 0.5))
    assert (caught.value.row, caught.value.reason) == (1, f"blend weight {np.float32(weight)!s} is not in [0, 1]")


def test_the_first_bad_weight_is_named() -> None:
    with pytest.raises(InvalidRowError, match=r"^row 2: blend weight 7\.0 is not in \[0, 1\]$"):
        check_weights(column(0, 1, 7, np.nan))
