from copy import deepcopy

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.multitask.stacked_encoder import Layers, StackedEncoder

CPU = torch.device("cpu")


@pytest.fixture(params=["bert", "mpnet"])
def model(request, tiny, tiny_mpnet):
    """A copy: transformers leaves hooks, which cannot be pickled, in a model that was asked for hidden states."""
    return deepcopy(tiny.bert if request.param == "bert" else tiny_mpnet)


def batch(n_models: int, lengths: list[int], width: int):
    ids = torch.randint(4, 30_000, (n_models, len(lengths), width), generator=torch.manual_seed(1))
    return ids, (torch.arange(width) < torch.tensor(lengths)[:, None]).expand(n_models, -1, -1)


def truth(model, ids, mask, pooled):
    """Means over real tokens of what transformers says the layers' outputs are: each text without padding."""
    rows = []
    for row, length in zip(ids, mask.sum(1).tolist(), strict=True):
        states = model(input_ids=row[None, :length], output_hidden_states=True).hidden_states
        rows.append(torch.cat([states[layer][0].mean(0) for layer in pooled]))
    return torch.stack(rows)


@pytest.mark.parametrize(("frozen", "pooled"), [(0, (1, 3)), (1, (2, 3)), (2, (3,))])
@pytest.mark.parametrize("width", [40, 64])
def test_means_are_those_of_transformers_for_every_copy(model, frozen, pooled, width):
    encoder = StackedEncoder(model, Layers(3, frozen, pooled), CPU, torch.float32)
    ids, mask = batch(2, [1, 17, 40], width)
    weights = {name: weight.expand(2, *weight.shape) for name, weight in encoder.start.items()}
    with torch.inference_mode():
        found = encoder.means(weights, ids, mask)
        assert found.shape == (2, 3, encoder.width)
        for copy in range(2):
            torch.testing.assert_close(found[copy], truth(model, ids[copy], mask[copy], pooled), atol=1e-5, rtol=0)


def test_distances_beyond_the_farthest_share_a_bucket_as_in_transformers(tiny_mpnet):
    encoder = StackedEncoder(tiny_mpnet, Layers(2, 0, (2,)), CPU, torch.float32)
    ids, mask = batch(1, [300], 304)
    with torch.inference_mode():
        found = encoder.means({name: each[None] for name, each in encoder.start.items()}, ids, mask)
        torch.testing.assert_close(found[0], truth(tiny_mpnet, ids[0], mask[0], (2,)), atol=1e-5, rtol=0)


def test_a_copy_depends_on_its_own_weights_alone(tiny):
    encoder = StackedEncoder(tiny.bert, Layers(3, 0, (3,)), CPU, torch.float32)
    ids, mask = batch(1, [9, 30], 32)
    ids, mask = ids.expand(2, -1, -1), mask.expand(2, -1, -1)
    weights = {name: each.repeat(2, *[1] * each.ndim) for name, each in encoder.start.items()}
    weights["2.up.weight"][1] += torch.randn(16, 16)
    with torch.inference_mode():
        found = encoder.means(weights, ids, mask)
        single = encoder.means({name: each[:1] for name, each in weights.items()}, ids[:1], mask[:1])
    torch.testing.assert_close(found[0], single[0])
    assert (found[1] - found[0]).abs().max() > 1e-3


def test_gradients_reach_every_tuned_weight(model):
    encoder = StackedEncoder(model, Layers(3, 1, (2, 3)), CPU, torch.float32)
    weights = {name: each[None].clone().requires_grad_() for name, each in encoder.start.items()}
    encoder.means(weights, *batch(1, [5, 12], 16)).square().sum().backward()
    assert {name.split(".")[0] for name in weights} == {"1", "2"}
    for name, weight in weights.items():
        assert weight.grad is not None, name
        # A shift of all keys leaves attention as it is.
        assert name.endswith("key.bias") or weight.grad.abs().max() > 0, name


def test_weights_go_back_into_the_served_encoder(tiny):
    encoder = StackedEncoder(tiny.bert, Layers(3, 0, (3,)), CPU, torch.float32)
    back = encoder.to_layers(encoder.start)
    expected = {k: v for k, v in PooledEncoder(tiny.bert, (3,)).state_dict().items() if k.startswith("layers.")}
    assert set(back) == set(expected)
    assert all(torch.equal(back[name], weight) for name, weight in expected.items())


def test_an_encoder_of_another_kind_is_refused():
    config = RobertaConfig(
        vocab_size=99, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with pytest.raises(ValueError, match="a roberta cannot be stacked, only bert and mpnet"):
        StackedEncoder(RobertaModel(config), Layers(1, 0, (1,)), CPU, torch.float32)


def test_layers_that_the_encoder_lacks_are_refused():
    config = BertConfig(vocab_size=99, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    with pytest.raises(ValueError, match="has 1 layers, 2 are asked for"):
        StackedEncoder(BertModel(config), Layers(2, 0, (1,)), CPU, torch.float32)


@pytest.mark.parametrize(("last", "frozen", "pooled"), [(3, 1, ()), (3, 1, (1,)), (3, 0, (4,)), (3, 3, (3,))])
def test_layers_that_would_not_be_tuned_are_refused(last, frozen, pooled):
    with pytest.raises(ValueError, match="must lie above"):
        Layers(last, frozen, pooled)


def test_half_precision_is_near(model):
    encoder = StackedEncoder(model, Layers(3, 1, (2, 3)), CPU, torch.bfloat16)
    ids, mask = batch(1, [5, 12], 16)
    weights = {name: each[None].bfloat16() for name, each in encoder.start.items()}
    with torch.inference_mode():
        found = encoder.means(weights, ids, mask)
        np.testing.assert_allclose(found[0], truth(model, ids[0], mask[0], (2, 3)), atol=0.05)
    assert found.dtype == torch.float32
