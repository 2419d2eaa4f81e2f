"""RAPIDS forest inference: Treelite's scores."""

import numpy as np

from readability_triton.serving.repository import default_repository
from readability_triton.stages.arrays import to_host
from readability_triton.stages.device.forest import DeviceForest
from readability_triton.stages.features import extract
from readability_triton.stages.forest import load_forest, predict


def test_scores_are_those_of_treelite(spec, texts) -> None:
    checkpoint = default_repository() / "cuml" / "1" / "checkpoint.tl"
    features = extract(texts[:512], spec)
    scores = DeviceForest(checkpoint, 0).predict(features)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(to_host(scores), predict(load_forest(checkpoint), features), rtol=0, atol=1e-5)
