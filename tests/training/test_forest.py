import json

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from stages.forest import load_forest, predict
from training.bundle import forest_bytes
from training.forest import fit_forest


@pytest.fixture(scope="module")
def steep() -> tuple[np.ndarray, np.ndarray]:
    """Data that an unbounded tree grows far deeper than 16 on: each split can only cut off the largest."""
    column = np.arange(300, dtype=np.float32)
    return np.stack([column] * 4, axis=1), 1.4 ** column.astype(float)


@pytest.fixture(scope="module")
def noise() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(80, 20)).astype(np.float32), rng.normal(size=80)


def depth(tree: dict) -> int:
    children = {node["node_id"]: (node.get("left_child"), node.get("right_child")) for node in tree["nodes"]}

    def below(node: int) -> int:
        left, right = children[node]
        return 0 if left is None else 1 + max(below(left), below(right))

    return below(0)


def test_the_forest_has_100_trees_at_most_16_deep(steep):
    trees = json.loads(fit_forest(*steep, seed=0).dump_as_json())["trees"]
    assert len(trees) == 100
    assert max(map(depth, trees)) == 16


def test_the_checkpoint_predicts_what_scikit_learn_predicts(noise, tmp_path):
    features, targets = noise
    checkpoint = tmp_path / "checkpoint.tl"
    checkpoint.write_bytes(forest_bytes(fit_forest(features, targets, seed=5)))
    truth = RandomForestRegressor(100, max_depth=16, max_features=0.25, min_samples_leaf=2, random_state=5)
    unseen = np.random.default_rng(1).normal(size=(50, 20)).astype(np.float32)
    expected = truth.fit(features, targets).predict(unseen)
    np.testing.assert_allclose(predict(load_forest(checkpoint), unseen)[:, 0], expected, atol=1e-5)


def test_the_same_seed_grows_the_same_forest_and_another_seed_another(noise):
    grown = [forest_bytes(fit_forest(*noise, seed=seed)) for seed in (1, 1, 2)]
    assert grown[0] == grown[1]
    assert grown[0] != grown[2]
