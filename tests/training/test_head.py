import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from readability_triton.training.head import Head


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
