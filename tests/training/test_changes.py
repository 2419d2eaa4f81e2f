import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from readability_triton.training.changes import STEPS, pack, unpack

weights = st.floats(-4, 4, width=32)
matrices = array_shapes(min_dims=2, max_dims=2, max_side=6).flatmap(
    lambda shape: st.tuples(arrays(np.float32, shape, elements=weights), arrays(np.float32, shape, elements=weights))
)
vectors = st.integers(1, 8).flatmap(
    lambda size: st.tuples(arrays(np.float32, size, elements=weights), arrays(np.float32, size, elements=weights))
)


def tensors(**arrays_: np.ndarray) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in arrays_.items()}


def there_and_back(tuned: np.ndarray, base: np.ndarray) -> np.ndarray:
    return unpack(pack(tensors(w=tuned), tensors(w=base)), tensors(w=base))["w"].numpy()


@given(matrices)
def test_a_matrix_comes_back_within_half_a_step_of_its_row(pair):
    tuned, base = pair
    step = np.abs(tuned - base).max(axis=1, keepdims=True) / STEPS
    # Adding the difference to the base rounds too.
    rounding = 4 * np.finfo(np.float32).eps * (np.abs(tuned) + np.abs(base)) + np.finfo(np.float32).tiny
    assert (np.abs(there_and_back(tuned, base) - tuned) <= step / 2 + rounding).all()


@given(vectors)
def test_a_vector_is_kept_as_its_difference_unrounded(pair):
    tuned, base = pair
    packed = pack(tensors(w=tuned), tensors(w=base))
    assert list(packed) == ["w"]
    np.testing.assert_array_equal(packed["w"], tuned - base)
    np.testing.assert_array_equal(there_and_back(tuned, base), base + (tuned - base))


@given(vectors)
def test_a_vector_over_a_base_of_zeros_comes_back_exactly(pair):
    tuned, _ = pair
    np.testing.assert_array_equal(there_and_back(tuned, np.zeros_like(tuned)), tuned)


@given(matrices)
def test_a_matrix_takes_a_byte_a_weight_and_four_a_row(pair):
    tuned, base = pair
    packed = pack(tensors(w=tuned), tensors(w=base))
    assert {name: (array.dtype, array.shape) for name, array in packed.items()} == {
        "w": (np.int8, tuned.shape),
        "w.step": (np.float32, (len(tuned), 1)),
    }
    assert np.abs(packed["w"].astype(int)).max() <= STEPS


@given(matrices)
def test_weights_that_did_not_change_come_back_exactly(pair):
    _, base = pair
    np.testing.assert_array_equal(there_and_back(base, base), base)


def test_a_row_that_did_not_change_stays_as_it_is_beside_one_that_did():
    base = np.array([[1.0, -2.0], [0.1, 0.2], [0.0, 0.0]], dtype=np.float32)
    tuned = base + np.array([[0, 0], [0.5, -0.25], [0, 0]], dtype=np.float32)
    with np.errstate(all="raise"):
        back = there_and_back(tuned, base)
    np.testing.assert_array_equal(back[[0, 2]], base[[0, 2]])
    np.testing.assert_allclose(back[1], tuned[1], atol=0.5 / STEPS / 2 + 1e-6)


@pytest.mark.parametrize("size", [1e-44, 1e-38, 1e-30])
def test_the_least_changes_do_no_harm(size):
    base = np.zeros((1, 2), dtype=np.float32)
    tuned = np.array([[size, -size]], dtype=np.float32)
    np.testing.assert_allclose(there_and_back(tuned, base), tuned, atol=np.finfo(np.float32).tiny)


def test_weights_in_bf16_are_compared_in_fp32():
    base, tuned = torch.full((2, 2), 1.0), torch.full((2, 2), 1.0).bfloat16()
    assert not pack({"w": tuned}, {"w": base})["w"].any()
    assert unpack(pack({"w": tuned}, {"w": base}), {"w": base.bfloat16()})["w"].dtype == torch.float32


@pytest.mark.parametrize(
    "base",
    [{}, {"v": np.zeros((3, 2), np.float32)}, {"w": np.zeros((2, 3), np.float32)}, {"w": np.zeros(3, np.float32)}],
    ids=["nothing", "another name", "another shape", "a vector"],
)
def test_a_base_that_lacks_a_weight_or_has_it_in_another_shape_is_refused(base):
    packed = pack(tensors(w=np.ones((3, 2), np.float32)), tensors(w=np.zeros((3, 2), np.float32)))
    with pytest.raises(ValueError, match=r"the base encoder has no w of shape \[3, 2\]"):
        unpack(packed, tensors(**base))
