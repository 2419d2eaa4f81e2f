"""Counts from tokens agree with counts from the text, on any batch."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import BertModel

from readability_triton.stages.counts import (
    LETTERS_AT_START,
    MEAN,
    N_COUNTS,
    SCALE,
    CountsHead,
    TokenCounts,
    token_table,
)
from readability_triton.stages.encoder import PooledEncoder, predict, to_torchscript
from readability_triton.stages.precision import Precision
from readability_triton.stages.tokens import tokenize
from readability_triton.training.base_encoder import _packaged_folder

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(_packaged_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def counts(tokenizer: Tokenizer) -> TokenCounts:
    return TokenCounts(token_table(tokenizer, 30522))


def logarithms(counts: TokenCounts, texts: list[str], tokenizer: Tokenizer) -> np.ndarray:
    standardised = counts(*map(torch.from_numpy, tokenize(texts, tokenizer))).numpy()
    return standardised * np.array(SCALE) + np.array(MEAN)


@pytest.mark.parametrize(
    ("text", "letters", "words", "ends", "pieces"),
    [
        ("Go.", 2, 1, 1, 1),
        ("See Spot run.", 10, 3, 1, 3),
        ("Is it? Yes! It is.", 11, 5, 3, 5),
        ("no end here", 9, 3, 0, 3),
        ("unaffable", 9, 1, 0, 3),
        ("…", 0, 0, 1, 0),
        ("---", 0, 0, 0, 0),
        ("In 1984, he left.", 12, 4, 1, 4),
    ],
)
def test_counts_are_those_of_the_text(counts, tokenizer, text, letters, words, ends, pieces):
    expected = [
        math.log(words + 1),
        math.log((words + 1) / max(1, ends)),
        math.log((letters + LETTERS_AT_START) / (words + 1)),
        math.log((pieces + 1) / (words + 1)),
    ]
    np.testing.assert_allclose(logarithms(counts, [text], tokenizer)[0], expected, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.sampled_from(["go", "unaffable", ".", "!", ",", "12"]), min_size=1, max_size=20), min_size=1)
)
def test_a_texts_counts_do_not_depend_on_its_neighbours(counts, tokenizer, tokens):
    texts = [" ".join(each) for each in tokens]
    single = np.concatenate([logarithms(counts, [text], tokenizer) for text in texts])
    np.testing.assert_allclose(logarithms(counts, texts, tokenizer), single, atol=1e-5)


def test_special_tokens_and_rows_without_a_token_count_nothing(tokenizer):
    table = token_table(tokenizer, 30600)
    assert table.shape == (30600, N_COUNTS)
    assert not table[[tokenizer.token_to_id(token) for token in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")]].any()
    assert not table[30522:].any()
    assert table[tokenizer.token_to_id("[UNK]")].tolist() == [5, 1, 0, 1]


@pytest.fixture
def encoder(tiny_bert: BertModel, counts: TokenCounts) -> PooledEncoder:
    torch.manual_seed(2)
    return PooledEncoder(tiny_bert, (1, 3), counts).eval()


def test_a_head_that_has_learned_nothing_adds_nothing(encoder, tiny_bert, tokenizer):
    plain = PooledEncoder(tiny_bert, (1, 3)).eval()
    plain.head.load_state_dict(encoder.head.state_dict())
    batch = tokenize(["Go home.", "They went home because it was late."], tokenizer)
    np.testing.assert_array_equal(predict(encoder, *batch), predict(plain, *batch))


def learned(encoder: PooledEncoder) -> PooledEncoder:
    torch.manual_seed(3)
    assert encoder.counts_head is not None
    torch.nn.init.normal_(encoder.counts_head.direct.weight, std=0.5)
    torch.nn.init.normal_(encoder.counts_head.out.weight, std=0.5)
    return encoder


def test_the_score_is_the_linear_layers_and_what_the_counts_add(encoder, tokenizer):
    learned(encoder)
    ids, mask = map(torch.from_numpy, tokenize(["Go home.", "They went home because it was late."], tokenizer))
    with torch.inference_mode():
        means = encoder.pool(encoder.embeddings(input_ids=ids), mask)
        head = encoder.counts_head
        c = encoder.counts(ids, mask)
        hidden = torch.nn.functional.gelu(means @ head.means.weight.T + head.means.bias + c @ head.counts.weight.T)
        truth = encoder.head(means) + c @ head.direct.weight.T + hidden @ head.out.weight.T
        torch.testing.assert_close(encoder(ids, mask), truth, atol=1e-5, rtol=0)
        assert (truth - encoder.head(means)).abs().min() > 1e-3


@pytest.mark.parametrize("precision", get_args(Precision))
def test_the_served_module_counts_too_in_any_order_and_padding(encoder, tokenizer, precision):
    texts = ["Go.", "They went home because it was late, and nobody was there.", "See Spot run.", "…"]
    ids, mask = tokenize(texts, tokenizer)
    served = to_torchscript(learned(encoder), precision)
    truth = np.concatenate([predict(encoder, *tokenize([text], tokenizer)) for text in texts])
    padded = np.pad(ids, [(0, 0), (0, 5)]), np.pad(mask, [(0, 0), (0, 5)])
    np.testing.assert_allclose(predict(served, *padded), truth, atol=1e-5 if precision == "fp32" else 0.2)
    np.testing.assert_allclose(
        predict(served, ids[::-1].copy(), mask[::-1].copy())[::-1], predict(served, ids, mask), atol=1e-5
    )


def test_neither_table_nor_constants_are_among_the_saved_weights(encoder):
    assert {name.split(".")[0] for name in encoder.state_dict()} == {"embeddings", "layers", "head", "counts_head"}


def test_the_head_has_gradients_from_its_first_step():
    head = CountsHead(8)
    head(torch.randn(3, 8), torch.randn(3, N_COUNTS)).sum().backward()
    assert head.out.weight.grad is not None
    assert head.out.weight.grad.abs().sum() > 0
