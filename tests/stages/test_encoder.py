"""The served encoder gives every row the score that it has in a batch of one, without padding."""

import copy
from itertools import combinations
from pathlib import Path
from typing import get_args
from zipfile import BadZipFile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertModel

from readability_triton.stages.encoder import PooledEncoder, load_encoder, predict, save_encoder, to_torchscript
from readability_triton.stages.precision import Precision, precision_of

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
    return to_torchscript(encoder, max_tokens=request.param)


def one_by_one(encoder: PooledEncoder, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
    """The truth: each row without its padding, in plain PyTorch."""
    rows = [(row[None, :length], np.ones((1, length), np.int64)) for row, length in zip(ids, mask.sum(1), strict=True)]
    return np.concatenate([predict(encoder, *row) for row in rows])


@quick
@given(row_lengths, seeds, st.integers(0, 9))
def test_each_row_scores_as_in_a_batch_of_one_without_padding(served, encoder, lengths, seed, padding) -> None:
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
        encoder = PooledEncoder(tiny_bert, layers).eval()
        pooled = encoder.pool(encoder.embeddings(input_ids=ids), mask)
        truth = hidden_means(tiny_bert, ids, mask, sorted(set(layers)))
    torch.testing.assert_close(pooled, truth, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_the_lower_layers_give_what_hugging_face_says_they_do(tiny_bert, n_layers: int) -> None:
    ids, mask = map(torch.from_numpy, batch([5, 11, 1]))
    with torch.inference_mode():
        encoder = PooledEncoder(tiny_bert, (3,)).eval()
        lower = encoder.lower(encoder.embeddings(input_ids=ids), mask, n_layers)
        truth = tiny_bert(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[n_layers]
    torch.testing.assert_close(lower[mask == 1], truth[mask == 1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("layers", "computed"), [((3,), 0), ((3,), 2), ((1, 3), 1), ((2, 3), 2), ((2,), 2), ((0, 2), 0)], ids=str
)
@quick
@given(row_lengths, seeds)
def test_pooling_goes_on_from_layers_that_are_computed_already(tiny_bert, layers, computed, lengths, seed) -> None:
    ids, mask = map(torch.from_numpy, batch(lengths, seed))
    with torch.inference_mode():
        encoder = PooledEncoder(tiny_bert, layers).eval()
        embeddings = encoder.embeddings(input_ids=ids)
        gone_on = encoder.pool(encoder.lower(embeddings, mask, computed), mask, computed)
        torch.testing.assert_close(gone_on, encoder.pool(embeddings, mask), atol=1e-5, rtol=0)


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
def test_layers_that_the_encoder_does_not_have_are_refused(tiny_bert: BertModel, layers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are not among 0 to 3"):
        PooledEncoder(tiny_bert, layers)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises((RuntimeError, ValueError), match=r"model\.pt"):
        load_encoder(tmp_path / "model.pt")


def test_a_file_that_is_not_torchscript_is_a_runtime_error(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"not TorchScript")
    with pytest.raises(RuntimeError):
        load_encoder(tmp_path / "model.pt")


TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.1, "fp8": 0.1}
"""Of scores whose deviation between rows is 0.17."""


@pytest.fixture(scope="module", params=get_args(Precision))
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


@pytest.fixture(scope="module")
def rounded(encoder: PooledEncoder, precision: Precision) -> torch.jit.ScriptModule:
    return to_torchscript(encoder, precision)


@quick
@given(row_lengths, seeds, st.integers(0, 9))
def test_any_precision_scores_nearly_as_fp32_does(rounded, precision, encoder, lengths, seed, padding) -> None:
    ids, mask = batch(lengths, seed, padding)
    scores = predict(rounded, ids, mask)
    assert (scores.dtype, scores.shape) == (np.float32, (len(lengths), 1))
    np.testing.assert_allclose(scores, one_by_one(encoder, ids, mask), atol=TOLERANCE[precision])


@quick
@given(row_lengths, seeds, st.randoms(use_true_random=False))
def test_any_precision_keeps_the_order_of_rows(rounded, precision, lengths, seed, random) -> None:
    ids, mask = batch(lengths, seed)
    order = random.sample(range(len(lengths)), len(lengths))
    shuffled = predict(rounded, ids[order], mask[order])
    np.testing.assert_allclose(shuffled, predict(rounded, ids, mask)[order], atol=1e-5)


@pytest.mark.parametrize("lesser", ["bf16", "int8", "fp8"])
def test_in_lesser_precision_a_row_scores_in_a_batch_of_one_to_the_last_bit_as_in_any_other(encoder, lesser) -> None:
    served = to_torchscript(encoder, lesser)
    ids, mask = batch([5, 40, 1, 300, 17], padding=3)
    np.testing.assert_array_equal(predict(served, ids, mask), one_by_one(served, ids, mask))


def test_lesser_precision_is_another_computation(encoder) -> None:
    ids, mask = batch([5, 40, 1, 17])
    scores = [predict(to_torchscript(encoder, precision), ids, mask) for precision in get_args(Precision)]
    for one, other in combinations(scores, 2):
        assert (one != other).all()


def test_the_linear_layer_is_rounded_in_no_precision(tiny_bert, precision: Precision) -> None:
    """Two that are the same in bf16, and in 8 bits all the more, give scores that differ as much as they do."""
    encoder = PooledEncoder(tiny_bert, LAYERS).eval()
    torch.nn.init.constant_(encoder.head.bias, 0.1)
    weight = torch.randn(encoder.head.weight.shape, generator=torch.manual_seed(3)).bfloat16().float()
    ids, mask = batch([5, 40, 17])
    scores = []
    for factor in (1.0, 1.0 + 2**-10):
        with torch.no_grad():
            encoder.head.weight.copy_(weight * factor)
        scores.append(predict(to_torchscript(encoder, precision), ids, mask).astype(float) - np.float32(0.1))
    assert np.abs(scores[0]).min() > 0.01
    np.testing.assert_allclose(scores[1] / scores[0], 1.0 + 2**-10, atol=1e-4)


def test_a_row_without_tokens_scores_the_bias_in_any_precision(rounded, encoder) -> None:
    ids, mask = batch([4, 1, 8])
    mask[1] = 0
    scores = predict(rounded, ids, mask)
    assert scores[1].item() == encoder.head.bias.item()
    assert np.isfinite(scores).all()


def test_the_encoder_is_left_in_fp32_whatever_it_is_served_in(tiny_bert, precision: Precision) -> None:
    encoder = PooledEncoder(tiny_bert, LAYERS).eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    to_torchscript(encoder, precision)
    after = encoder.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}


def test_computing_in_bf16_casts_layers_and_embeddings_and_keeps_the_linear_layer(encoder: PooledEncoder) -> None:
    cast = copy.deepcopy(encoder)
    assert cast.compute_in(torch.bfloat16) is cast
    types = {name.split(".")[0]: value.dtype for name, value in cast.named_parameters()}
    assert types == {"embeddings": torch.bfloat16, "layers": torch.bfloat16, "head": torch.float32}
    ids, mask = map(torch.from_numpy, batch([5, 11]))
    with torch.inference_mode():
        pooled = cast.pool(cast.embeddings(input_ids=ids), mask)
    assert pooled.dtype == torch.float32


def test_a_file_holds_its_precision_and_scores_as_what_was_written(rounded, precision, tmp_path: Path) -> None:
    save_encoder(rounded, tmp_path / "model.pt", precision)
    assert precision_of(tmp_path / "model.pt") == precision
    ids, mask = batch([3, 30, 12])
    loaded = load_encoder(tmp_path / "model.pt")
    assert predict(loaded, ids, mask).tobytes() == predict(rounded, ids, mask).tobytes()


def test_the_precision_of_a_file_without_one_is_unknown(encoder, tmp_path: Path) -> None:
    torch.jit.save(to_torchscript(encoder), str(tmp_path / "model.pt"))
    assert precision_of(tmp_path / "model.pt") == "unknown"


def test_the_precision_of_what_is_no_torchscript_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"model\.pt"):
        precision_of(tmp_path / "model.pt")
    (tmp_path / "model.pt").write_bytes(b"not TorchScript")
    with pytest.raises(BadZipFile):
        precision_of(tmp_path / "model.pt")


def test_a_token_costs_two_operations_for_each_weight_of_the_layers_used(tiny_bert) -> None:
    """Four square matrices of attention and two of twice the width, in layers of 32."""
    assert PooledEncoder(tiny_bert, (1, 2)).flop_per_token == 2 * 2 * (4 * 32 * 32 + 2 * 32 * 64)
