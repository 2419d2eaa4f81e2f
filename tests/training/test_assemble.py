from dataclasses import replace

import numpy as np
import pytest
import torch

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.assemble import assemble, base_weights, pooled_encoder
from readability_triton.training.base_encoder import EncoderError, load_base_encoder
from readability_triton.training.bundle import Bundle
from readability_triton.training.changes import STEPS, pack


@pytest.fixture(scope="module")
def bundle(trained) -> Bundle:
    return trained.bundle


def with_changes(bundle: Bundle, **changes: np.ndarray) -> Bundle:
    return replace(bundle, changes=dict(bundle.changes) | changes)


def test_the_base_encoder_is_left_as_it_is(bundle, tiny):
    before = {name: value.clone() for name, value in tiny.bert.state_dict().items()}
    encoder = assemble(tiny, bundle)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.fill_(7)
    assert all(torch.equal(value, before[name]) for name, value in tiny.bert.state_dict().items())


def test_the_assembled_encoder_has_the_tuned_weights_within_half_a_step(bundle, tiny):
    base = PooledEncoder(tiny.bert, tuple(bundle.facts.layers))
    tuned = {name: torch.randn_like(value) / 50 + value for name, value in base_weights(base).items()}
    assembled = assemble(tiny, replace(bundle, changes=pack(tuned, base_weights(base)))).state_dict()
    for name, weight in tuned.items():
        change = (weight - base_weights(base)[name]).abs()
        step = change.amax(dim=-1, keepdim=True) / STEPS if weight.ndim > 1 else torch.zeros(1)
        assert ((assembled[name] - weight).abs() <= step / 2 + 1e-6).all(), name


def test_what_was_not_tuned_is_the_base_encoders(bundle, tiny):
    base = PooledEncoder(tiny.bert, tuple(bundle.facts.layers)).state_dict()
    for name, weight in assemble(tiny, bundle).state_dict().items():
        if name not in bundle.changes:
            assert torch.equal(weight, base[name]), name


def test_the_linear_layer_is_the_bundles_whatever_the_base_drew(bundle, tiny):
    torch.manual_seed(1)
    first = assemble(tiny, bundle).head
    torch.manual_seed(2)
    again = assemble(tiny, bundle).head
    assert torch.equal(first.weight, again.weight)
    assert first.bias.item() == pytest.approx(bundle.changes["head.bias"].item())


def test_it_is_fp32_and_in_evaluation_mode(bundle, tiny):
    encoder = assemble(tiny, bundle)
    assert not encoder.training
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    assert sorted(encoder.pooled_layers) == bundle.facts.layers


def test_other_weights_than_those_trained_with_are_refused_by_their_sha256(bundle, tiny):
    with pytest.raises(EncoderError, match=f"has weights {'0' * 64}, the bundle was trained with {tiny.sha256}"):
        assemble(replace(tiny, sha256="0" * 64), bundle)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("layers.9.output.dense.bias", np.zeros(16, np.float32)),
        ("head.bias", np.zeros(2, np.float32)),
        ("pooler.dense.bias", np.zeros(16, np.float32)),
    ],
)
def test_changes_that_the_encoder_has_no_place_for_are_refused(bundle, tiny, name, change):
    with pytest.raises(EncoderError, match=f"the bundle does not fit {tiny.name}: .* no {name} of shape"):
        assemble(tiny, with_changes(bundle, **{name: change}))


def test_the_linear_layer_is_measured_from_nothing_and_all_else_from_the_pretrained_weights(tiny):
    encoder = PooledEncoder(tiny.bert, (2,))
    weights = base_weights(encoder)
    assert list(weights) == list(encoder.state_dict())
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weights[name], torch.zeros_like(weight) if name.startswith("head.") else weight)
    assert encoder.head.weight.any()


def test_a_base_encoder_that_was_computed_with_otherwise_gives_the_same_scores(bundle, tiny, tiny_folder):
    """Training computes attention in another way than serving does."""
    ids = torch.arange(100, 120)[None]
    scores = []
    for kind in ("eager", "sdpa"):
        base = load_base_encoder(str(tiny_folder))
        base.bert.set_attn_implementation(kind)
        with torch.inference_mode():
            scores.append(assemble(base, bundle)(ids, torch.ones_like(ids)).item())
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_a_bundle_with_counts_has_them_and_what_they_add(bundle, tiny):
    base = pooled_encoder(tiny, bundle.facts.layers, counts=True)
    tuned = {name: torch.randn_like(value) / 50 + value for name, value in base_weights(base).items()}
    changes = pack(tuned, base_weights(base))
    encoder = assemble(tiny, replace(bundle, changes=changes, facts=replace(bundle.facts, counts=True)))
    for name in ("direct.weight", "means.bias", "out.weight"):
        torch.testing.assert_close(
            encoder.state_dict()[f"counts_head.{name}"], tuned[f"counts_head.{name}"], atol=1e-3, rtol=0
        )


def test_a_bundle_with_counts_does_not_fit_an_encoder_without(bundle, tiny):
    counted = pooled_encoder(tiny, bundle.facts.layers, counts=True)
    changes = pack(counted.state_dict(), base_weights(counted))
    with pytest.raises(EncoderError, match="no counts_head"):
        assemble(tiny, replace(bundle, changes=changes))
