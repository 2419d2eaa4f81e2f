import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bench.encoder import DEVIATION, LONGEST, MEAN_TOKENS, SHORTEST, cut_into_batches, draw_ids


def test_drawn_lengths_are_those_of_ordinary_excerpts() -> None:
    lengths = [len(ids) for ids in draw_ids(2000, range(1, 50))]
    assert min(lengths) >= SHORTEST
    assert max(lengths) <= LONGEST
    assert np.mean(lengths) == pytest.approx(MEAN_TOKENS, abs=3)
    assert np.std(lengths) == pytest.approx(DEVIATION, abs=3)


def test_drawn_texts_hold_the_given_ids_in_their_order() -> None:
    for ids in draw_ids(20, range(100, 107)):
        assert set(ids) <= set(range(100, 107))
        assert all((after - before) % 7 == 1 for before, after in itertools.pairwise(ids))


def test_the_same_seed_draws_the_same_texts() -> None:
    assert draw_ids(5, range(9), seed=3) == draw_ids(5, range(9), seed=3) != draw_ids(5, range(9), seed=4)


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=20), st.integers(1, 8))
def test_batches_hold_every_row_once_in_order_and_mask_the_padding(rows, size) -> None:
    batches = cut_into_batches(rows, size)
    assert [len(ids) for ids, _ in batches[:-1]] == [size] * (len(batches) - 1)
    found = [ids[row][mask[row] == 1].tolist() for ids, mask in batches for row in range(len(ids))]
    assert found == rows
    assert all(ids.shape == mask.shape and not ids[mask == 0].any() for ids, mask in batches)


def test_batches_can_be_padded_to_one_width() -> None:
    assert {ids.shape[1] for ids, _ in cut_into_batches([[1], [2, 3]], 1, padded_to=8)} == {8}
