from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.training.multitask.batches import SORTED_TOGETHER, Batches

LENGTHS = np.random.default_rng(0).integers(3, 400, 500)


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 499), min_size=1, max_size=60), min_size=1, max_size=4), st.integers(1, 7))
def test_every_model_draws_its_own_texts_and_all_of_them_equally_often(pools, size):
    arrays = [np.array(sorted(pool)) for pool in pools]
    batches = Batches(arrays, size, LENGTHS, 1)
    drawn = [batches.next() for _ in range(SORTED_TOGETHER * 5)]
    assert {each.shape for each in drawn} == {(len(pools), size)}
    for model, pool in enumerate(arrays):
        counts = Counter(np.concatenate([each[model] for each in drawn]).tolist())
        assert set(counts) <= set(pool.tolist())
        rounds = SORTED_TOGETHER * 5 * size // len(pool)
        assert all(rounds <= counts[text] <= rounds + 1 for text in pool.tolist())


def test_a_batch_holds_texts_of_similar_length_for_all_models():
    pools = [np.arange(500), np.arange(100, 500)]
    batches = Batches(pools, 16, LENGTHS, 2)
    drawn = [batches.next() for _ in range(SORTED_TOGETHER * 10)]
    padded = sum(LENGTHS[each].max() * each.size for each in drawn)
    assert LENGTHS[np.stack(drawn)].sum() / padded > 0.75


def test_the_order_depends_on_the_seed_and_the_model_alone():
    def first(seed):
        batches = Batches([np.arange(50), np.arange(50)], 4, LENGTHS, seed)
        return np.stack([batches.next() for _ in range(9)])

    assert np.array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))
    assert not np.array_equal(first(1)[:, 0], first(1)[:, 1])


def test_a_model_without_texts_is_named():
    with pytest.raises(ValueError, match="model 1 has no text"):
        Batches([np.arange(3), np.arange(0)], 2, LENGTHS, 0)
