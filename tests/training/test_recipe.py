import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.training.recipe import Recipe, default_layers


@pytest.mark.parametrize(
    ("n_layers", "averaged"),
    [
        (1, (1,)),
        (2, (2,)),
        (3, (2,)),
        (6, (3, 4, 5)),
        (12, (5, 6, 7, 8, 9, 10)),
        (24, tuple(range(9, 21))),
    ],
)
def test_the_lower_third_and_the_highest_sixth_are_not_averaged(n_layers, averaged):
    assert default_layers(n_layers) == averaged


@given(st.integers(1, 200))
def test_any_encoder_has_layers_to_average_one_next_to_the_other(n_layers):
    averaged = default_layers(n_layers)
    assert averaged == tuple(range(averaged[0], averaged[-1] + 1))
    assert 1 <= averaged[0] <= averaged[-1] <= n_layers
    assert Recipe(0, averaged).layers == averaged


@pytest.mark.parametrize(("n_frozen", "layers"), [(0, ()), (1, (1,)), (2, (4, 2)), (0, (0, 1)), (3, (1, 2))])
def test_layers_that_are_frozen_cannot_be_averaged(n_frozen, layers):
    with pytest.raises(ValueError, match=f"must all lie above the {n_frozen} frozen ones"):
        Recipe(n_frozen, layers)
