import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.encoder import PooledEncoder
from training.head import Head, embed, middle_layers


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), n_features=st.integers(1, 12), alpha=st.sampled_from([0.1, 10.0, 1000.0]))
def test_the_folded_head_predicts_what_scaler_and_ridge_predict(seed, n_features, alpha):
    rng = np.random.default_rng(seed)
    scales = 10 ** rng.uniform(-2, 2, n_features)
    means = (rng.normal(size=(40, n_features)) * scales + rng.normal(size=n_features)).astype(np.float32)
    targets = rng.normal(size=40)
    expected = make_pipeline(StandardScaler(), Ridge(alpha)).fit(means.astype(float), targets).predict(means)
    np.testing.assert_allclose(Head.fit(means, targets, alpha).predict(means), expected, atol=1e-3)


def test_a_feature_that_never_varies_weighs_nothing():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(30, 3)).astype(np.float32)
    means[:, 1] = 0.1
    head = Head.fit(means, rng.normal(size=30), 1.0)
    assert np.isfinite(head.weight).all()
    assert head.weight[1] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("n_layers", "expected"),
    [(1, (1,)), (2, (1,)), (3, (1, 2)), (6, (1, 2, 3, 4)), (12, (2, 4, 6, 8)), (24, (4, 8, 12, 16))],
)
def test_the_middle_layers_lie_in_the_lower_two_thirds(n_layers, expected):
    assert middle_layers(n_layers) == expected


@given(st.integers(1, 200))
def test_any_encoder_has_one_to_four_middle_layers_in_rising_order(n_layers):
    layers = middle_layers(n_layers)
    assert 1 <= len(layers) <= 4
    assert list(layers) == sorted(set(layers))
    assert layers[0] >= 1
    assert layers[-1] == max(1, round(n_layers * 2 / 3))


def mean_of_layers(bert, tokenizer, text: str, layers: tuple[int, ...]) -> np.ndarray:
    """What `embed` should give for one text, by way of transformers' own forward pass."""
    ids = torch.tensor([tokenizer.encode(text).ids])
    with torch.inference_mode():
        states = bert(input_ids=ids, output_hidden_states=True).hidden_states
    return torch.cat([states[layer].mean(1) for layer in layers], dim=1).numpy()[0]


def test_embedded_rows_are_the_mean_hidden_states_in_the_order_of_the_texts(tiny, corpus):
    texts = [text[: random.Random(row).randint(5, 300)] for row, text in enumerate(corpus.texts[:37])]
    told = []
    embedded = embed(PooledEncoder(tiny.bert, (1, 3)).eval(), tiny.tokenizer, texts, told.append)
    expected = [mean_of_layers(tiny.bert, tiny.tokenizer, text, (1, 3)) for text in texts]
    np.testing.assert_allclose(embedded, expected, atol=1e-5)
    assert sum(told) == len(texts)


def test_no_texts_give_no_rows(tiny):
    assert embed(PooledEncoder(tiny.bert, (2,)).eval(), tiny.tokenizer, [], lambda more: None).shape == (0, 16)
