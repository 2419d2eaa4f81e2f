"""The served encoder gives every row the score that it has alone, without padding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertModel

from stages.encoder import PooledEncoder, load_encoder, predict, to_torchscript

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean"),
]

LAYERS = (0, 1, 3)
MAX_TOKENS = (1, 48, 8192)
"""Every row by itself; a few rows a slice; the whole batch at once."""

Lengths = list[int]
quick = settings(deadline=None, max_examples=15)
row_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=7)
seeds = st.integers(0, 1_000_000)


def batch(lengths: Lengths, seed: int = 0, padding: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random ids of these many tokens, and their mask, `padding` columns wider than the longest row."""
    width = max(lengths) + padding
    ids = np.random.default_rng(seed).integers(1, 30_000, size=(len(lengths), width))
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    return ids * mask, mask


@pytest.fixture(scope="module")
def encoder(tiny_bert: BertModel) -> PooledEncoder:
    torch.manual_seed(1)
    return PooledEncoder(tiny_bert, LAYERS).eval()


@pytest.fixture(scope="module", params=MAX_TOKENS)
def served(encoder: PooledEncoder, request: pytest.FixtureRequest) -> torch.jit.ScriptModule:
    return to_torchscript(encoder, request.param)


def one_by_one(encoder: PooledEncoder, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """The truth: each row without its padding, in plain PyTorch."""
    rows = [(row[None, :length], np.ones((1, length), np.int64)) for row, length in zip(ids, mask.sum(1), strict=True)]
    return np.concatenate([predict(encoder, *row) for row in rows])


@quick
@given(row_lengths, seeds, st.integers(0, 9))
def test_each_row_scores_as_it_does_alone_without_padding(served, encoder, lengths, seed, padding) -> None:
    ids, mask = batch(lengths, seed, padding)
    scores = predict(served, ids, mask)
    assert (scores.dtype, scores.shape) == (np.float32, (len(lengths), 1))
    np.testing.assert_allclose(scores, one_by_one(encoder, ids, mask), atol=1e-5)


@quick
@given(row_lengths, seeds, st.randoms(use_true_random=False))
def test_the_order_of_rows_is_kept(served, lengths, seed, random) -> None:
    ids, mask = batch(lengths, seed)
    order = random.sample(range(len(lengths)), len(lengths))
    shuffled = predict(served, ids[order], mask[order])
    np.testing.assert_allclose(shuffled, predict(served, ids, mask)[order], atol=1e-5)


def test_rows_have_scores_of_their_own(served) -> None:
    scores = predict(served, *batch([5, 9, 40, 1, 17]))
    assert np.abs(np.diff(np.sort(scores.ravel()))).min() > 1e-3


@quick
@given(row_lengths, seeds)
def test_what_the_padding_holds_does_not_matter(served, lengths, seed) -> None:
    ids, mask = batch(lengths, seed, padding=2)
    rubbish = np.where(mask == 1, ids, 7)
    np.testing.assert_allclose(predict(served, rubbish, mask), predict(served, ids, mask), atol=1e-5)


def test_a_gap_in_the_mask_is_padding_too(served, encoder) -> None:
    ids, mask = batch([6, 3])
    mask[0, 2] = 0
    np.testing.assert_allclose(predict(served, ids, mask), predict(encoder, ids, mask), atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 512])
def test_a_batch_of_one_is_scored(served, encoder, length: int) -> None:
    ids, mask = batch([length])
    np.testing.assert_allclose(predict(served, ids, mask), predict(encoder, ids, mask), atol=1e-5)


def test_a_batch_of_none_has_no_scores(served) -> None:
    assert predict(served, *np.zeros((2, 0, 8), np.int64)).shape == (0, 1)


def test_a_row_without_tokens_gets_a_finite_score_and_harms_no_neighbour(served, encoder) -> None:
    ids, mask = batch([4, 1, 8])
    mask[1] = 0
    scores = predict(served, ids, mask)
    assert scores[1].item() == pytest.approx(encoder.head.bias.item(), abs=1e-6)
    np.testing.assert_allclose(scores[[0, 2]], one_by_one(encoder, ids[[0, 2]], mask[[0, 2]]), atol=1e-5)


def test_a_module_comes_back_from_its_file_the_same(served, tmp_path: Path) -> None:
    torch.jit.save(served, str(tmp_path / "model.pt"))
    ids, mask = batch([3, 30, 12])
    loaded = load_encoder(tmp_path / "model.pt")
    assert predict(loaded, ids, mask).tobytes() == predict(served, ids, mask).tobytes()


def test_dropout_is_off_even_where_training_left_it_on(tiny_bert: BertModel) -> None:
    encoder = PooledEncoder(tiny_bert, (1,)).train()
    served = to_torchscript(encoder)
    ids, mask = batch([20])
    assert predict(served, ids, mask) == predict(served, ids, mask)


def hidden_means(bert: BertModel, ids: Tensor, mask: Tensor, layers: list[int]) -> Tensor:
    """The truth: means over real tokens of what Hugging Face says the layers' outputs are."""
    hidden = bert(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    means = [[state[row, mask[row] == 1].mean(0) for row in range(len(ids))] for state in hidden]
    return torch.cat([torch.stack(means[layer]) for layer in layers], dim=1)


@pytest.mark.parametrize("layers", [(0,), (1,), (3,), (1, 2), (3, 1), (0, 2, 3), (2, 2)])
def test_pooling_is_the_mean_over_real_tokens_of_the_layers_outputs(tiny_bert, layers: tuple[int, ...]) -> None:
    ids, mask = map(torch.from_numpy, batch([5, 11, 1]))
    with torch.inference_mode():
        pooled = PooledEncoder(tiny_bert, layers).eval().pool(ids, mask)
        truth = hidden_means(tiny_bert, ids, mask, sorted(set(layers)))
    torch.testing.assert_close(pooled, truth, atol=1e-5, rtol=0)


def test_a_score_is_the_linear_layer_over_the_means(encoder: PooledEncoder, tiny_bert: BertModel) -> None:
    ids, mask = map(torch.from_numpy, batch([5, 11, 1]))
    with torch.inference_mode():
        truth = hidden_means(tiny_bert, ids, mask, list(LAYERS)) @ encoder.head.weight.T + encoder.head.bias
        torch.testing.assert_close(encoder(ids, mask), truth, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("layers", "kept"), [((0,), 0), ((1,), 1), ((2, 1), 2), ((0, 3), 3)])
def test_layers_above_the_highest_are_left_out(tiny_bert: BertModel, layers: tuple[int, ...], kept: int) -> None:
    encoder = PooledEncoder(tiny_bert, layers)
    assert list(encoder.layers) == list(tiny_bert.encoder.layer[:kept])


@pytest.mark.parametrize("layers", [(), (4,), (1, 4), (-1,), (-1, 2)], ids=str)
def test_layers_that_the_encoder_lacks_are_refused(tiny_bert: BertModel, layers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are not among 0 to 3"):
        PooledEncoder(tiny_bert, layers)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises((RuntimeError, ValueError), match=r"model\.pt"):
        load_encoder(tmp_path / "model.pt")


def test_a_file_that_is_not_torchscript_is_a_runtime_error(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"not TorchScript")
    with pytest.raises(RuntimeError):
        load_encoder(tmp_path / "model.pt")
