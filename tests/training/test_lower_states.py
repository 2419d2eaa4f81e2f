import copy
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.base_encoder import BaseEncoder
from readability_triton.training.compute import Compute
from readability_triton.training.lower_states import LowerStates, compute_lower_states


@pytest.fixture(scope="module")
def texts(corpus) -> list[str]:
    """More than two batches, of 2 to some 60 tokens and, cut by the tokenizer, 64."""
    return [text[: random.Random(row).randint(1, 250)] for row, text in enumerate(corpus.texts[:37])]


@pytest.fixture(scope="module")
def states(pretrained, tiny, texts, exact) -> LowerStates:
    return compute_lower_states(pretrained, 1, tiny.tokenizer, texts, exact, lambda more: None)


def hidden_states(tiny: BaseEncoder, text: str) -> tuple[Tensor, ...]:
    """The truth: what transformers says the layers' outputs are, 0 for the embeddings, of one text without padding."""
    ids = torch.tensor([tiny.tokenizer.encode(text).ids])
    with torch.inference_mode():
        states = copy.deepcopy(tiny.bert)(input_ids=ids, output_hidden_states=True).hidden_states
        return tuple(each[0] for each in states)


@pytest.mark.parametrize("n_frozen", [0, 1, 2])
def test_rows_are_the_frozen_layers_outputs_in_the_order_of_the_texts(tiny, texts, exact, n_frozen):
    encoder = PooledEncoder(tiny.bert, (3,)).eval()
    states = compute_lower_states(encoder, n_frozen, tiny.tokenizer, texts, exact, lambda more: None)
    for row, text in zip(states.rows, texts, strict=True):
        torch.testing.assert_close(row, hidden_states(tiny, text)[n_frozen], atol=1e-5, rtol=0)


def test_the_means_are_those_of_the_chosen_layers_outputs(states, tiny, texts):
    expected = [torch.cat([hidden_states(tiny, text)[layer].mean(0) for layer in (2, 3)]).numpy() for text in texts]
    assert states.means.dtype == np.float32
    np.testing.assert_allclose(states.means, expected, atol=1e-5)


def test_the_means_are_what_the_encoder_itself_pools(states, tiny, pretrained, texts):
    for text, mean in zip(texts, states.means, strict=True):
        ids = torch.tensor([tiny.tokenizer.encode(text).ids])
        with torch.inference_mode():
            pooled = pretrained.pool(pretrained.embeddings(input_ids=ids), torch.ones_like(ids))
        np.testing.assert_allclose(mean, pooled[0].numpy(), atol=1e-5)


def test_lengths_are_the_tokens_of_each_text_special_ones_included(states, tiny, texts):
    lengths = [len(tiny.tokenizer.encode(text).ids) for text in texts]
    assert states.lengths.tolist() == lengths
    assert len(set(lengths)) > 10
    assert max(lengths) == 64


def test_a_batch_is_padded_to_its_longest_row_and_masks_the_rest(states, exact):
    rows = np.array([5, 0, 17, 5])
    hidden, mask = states.batch(rows, exact)
    lengths = states.lengths[rows]
    assert hidden.shape == (4, lengths.max(), 16)
    assert mask.dtype == torch.int64
    assert mask.sum(1).tolist() == lengths.tolist()
    for at, row in enumerate(rows):
        torch.testing.assert_close(hidden[at, mask[at] == 1], states.rows[row], atol=0, rtol=0)
        assert not hidden[at, mask[at] == 0].any()


def test_a_batch_goes_on_to_the_means_from_where_the_frozen_layers_ended(states, pretrained, exact):
    rows = np.array([3, 30, 12, 8])
    with torch.inference_mode():
        pooled = pretrained.pool(*states.batch(rows, exact), computed=1)
    np.testing.assert_allclose(pooled.numpy(), states.means[rows], atol=1e-5)


def test_in_bf16_the_rows_are_kept_in_bf16_and_the_means_in_fp32(states, pretrained, tiny, texts):
    compute = Compute(torch.device("cpu"), torch.bfloat16)
    rounded = compute_lower_states(pretrained, 1, tiny.tokenizer, texts, compute, lambda more: None)
    assert {row.dtype for row in rounded.rows} == {torch.bfloat16}
    assert rounded.means.dtype == np.float32
    assert np.abs(rounded.means - states.means).max() < 0.05


def test_the_encoder_is_left_as_it_is(pretrained, tiny, texts):
    before = {name: value.clone() for name, value in pretrained.state_dict().items()}
    compute = Compute(torch.device("cpu"), torch.bfloat16)
    compute_lower_states(pretrained, 1, tiny.tokenizer, texts[:2], compute, lambda more: None)
    assert all(torch.equal(value, before[name]) for name, value in pretrained.state_dict().items())


def test_all_texts_are_announced(pretrained, tiny, texts, exact):
    reported = []
    compute_lower_states(pretrained, 1, tiny.tokenizer, texts, exact, reported.append)
    assert sum(reported) == len(texts)
    assert len(reported) > 2


def test_no_texts_give_no_rows(pretrained, tiny, exact):
    states = compute_lower_states(pretrained, 1, tiny.tokenizer, [], exact, lambda more: None)
    assert states.rows == ()
    assert states.means.shape == (0, 32)
    assert len(states.lengths) == 0
