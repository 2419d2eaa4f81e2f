import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.recipe import Recipe, default_layers


@pytest.mark.parametrize(
    ("n_layers", "frozen", "tuned"),
    [
        (1, 0, (1,)),
        (2, 1, (2,)),
        (3, 1, (2,)),
        (6, 2, (3, 4, 5)),
        (12, 4, (5, 6, 7, 8, 9, 10)),
        (24, 8, tuple(range(9, 21))),
    ],
)
def test_a_third_is_frozen_and_the_highest_sixth_left_out(n_layers, frozen, tuned):
    assert default_layers(n_layers) == (frozen, tuned)


@given(st.integers(1, 200))
def test_any_encoder_has_layers_to_tune_right_above_the_frozen_ones(n_layers):
    frozen, tuned = default_layers(n_layers)
    assert tuned == tuple(range(frozen + 1, max(tuned) + 1))
    assert max(tuned) <= n_layers
    assert Recipe(frozen, tuned).layers == tuned


@pytest.mark.parametrize(("n_frozen", "layers"), [(0, ()), (1, (1,)), (2, (4, 2)), (0, (0, 1)), (3, (1, 2))])
def test_layers_that_are_frozen_cannot_be_averaged(n_frozen, layers):
    with pytest.raises(ValueError, match=f"must all lie above the {n_frozen} frozen ones"):
        Recipe(n_frozen, layers)
