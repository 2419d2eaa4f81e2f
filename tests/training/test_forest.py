import json
import sys
from types import ModuleType

import numpy as np
import pytest
import treelite
from sklearn.ensemble import RandomForestRegressor

from readability_triton.stages.forest import load_forest, predict
from readability_triton.training.bundle import forest_bytes
from readability_triton.training.forest import fit_forest


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


def test_the_device_is_the_cpu_unless_another_is_asked_for(noise):
    assert forest_bytes(fit_forest(*noise, seed=1)) == forest_bytes(fit_forest(*noise, 1, "cpu"))


def test_the_same_seed_grows_the_same_forest_and_another_seed_another(noise):
    grown = [forest_bytes(fit_forest(*noise, seed=seed)) for seed in (1, 1, 2)]
    assert grown[0] == grown[1]
    assert grown[0] != grown[2]


class FakeCumlForest(RandomForestRegressor):
    """Takes what cuML's forest takes and leaves the work to scikit-learn.

    Attributes:
        made: every forest made, with the settings that only cuML knows and the type of its targets.
    """

    made: list["FakeCumlForest"] = []  # noqa: RUF012

    def __init__(
        self, n_estimators=100, max_depth=16, max_features="auto", min_samples_leaf=1, random_state=None, n_streams=4
    ):
        super().__init__(
            n_estimators,
            max_depth=max_depth,
            max_features=max_features,
            min_samples_leaf=min_samples_leaf,
            random_state=random_state,
        )
        self.n_streams = n_streams
        self.made.append(self)

    def fit(self, features, targets):
        self.types = features.dtype, targets.dtype
        return super().fit(features, targets)

    def as_treelite(self):
        return treelite.sklearn.import_model(self)


@pytest.fixture
def fake_cuml(monkeypatch) -> list[FakeCumlForest]:
    package, ensemble = ModuleType("cuml"), ModuleType("cuml.ensemble")
    package.ensemble, ensemble.RandomForestRegressor = ensemble, FakeCumlForest
    monkeypatch.setitem(sys.modules, "cuml", package)
    monkeypatch.setitem(sys.modules, "cuml.ensemble", ensemble)
    monkeypatch.setattr(FakeCumlForest, "made", [])
    return FakeCumlForest.made


def test_on_a_gpu_cuml_gets_the_same_settings_one_stream_and_fp32(noise, fake_cuml):
    fit_forest(*noise, 5, "cuda")
    (made,) = fake_cuml
    settings = (made.n_estimators, made.max_depth, made.max_features, made.min_samples_leaf, made.random_state)
    assert settings == (100, 16, 0.25, 2, 5)
    assert made.n_streams == 1
    assert made.types == (np.float32, np.float32)


def test_what_cuml_grows_is_written_and_read_as_any_forest(noise, fake_cuml, tmp_path):
    grown = fit_forest(*noise, 5, "cuda")
    (tmp_path / "checkpoint.tl").write_bytes(forest_bytes(grown))
    unseen = np.random.default_rng(1).normal(size=(50, 20)).astype(np.float32)
    (made,) = fake_cuml
    np.testing.assert_allclose(
        predict(load_forest(tmp_path / "checkpoint.tl"), unseen)[:, 0], made.predict(unseen), atol=1e-5
    )


@pytest.mark.usefixtures("fake_cuml")
def test_the_cpu_never_asks_for_cuml(noise):
    fit_forest(*noise, 5, "cpu")
    assert FakeCumlForest.made == []


def test_a_gpu_without_cuml_is_an_import_error(noise, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuml", None)
    with pytest.raises(ImportError, match="cuml"):
        fit_forest(*noise, 5, "cuda")


def test_both_forests_agree_on_rows_not_seen():
    """Of two forests over the same rows, neither is the other, but what both learned is the same."""
    pytest.importorskip("cuml", reason="cuML needs a GPU")
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1200, 20)).astype(np.float32)
    targets = features[:, 0] - 2 * features[:, 1] + np.abs(features[:, 2]) + rng.normal(scale=0.3, size=1200)
    on_cpu, on_gpu = (
        predict(fit_forest(features[:800], targets[:800], 5, device), features[800:])[:, 0]
        for device in ("cpu", "cuda")
    )
    errors = [np.sqrt(np.square(scores - targets[800:]).mean()) for scores in (on_cpu, on_gpu)]
    assert np.corrcoef(on_cpu, on_gpu)[0, 1] > 0.97
    assert errors[1] == pytest.approx(errors[0], rel=0.1)
    assert np.abs(on_cpu - on_gpu).mean() < 0.25 * targets.std()


def test_cumls_forest_is_the_same_for_the_same_seed(noise):
    pytest.importorskip("cuml", reason="cuML needs a GPU")
    assert len({forest_bytes(fit_forest(*noise, 5, "cuda")) for _ in range(2)}) == 1


def test_cumls_forest_has_100_trees_at_most_16_deep(steep):
    pytest.importorskip("cuml", reason="cuML needs a GPU")
    trees = json.loads(fit_forest(*steep, 0, "cuda").dump_as_json())["trees"]
    assert len(trees) == 100
    assert max(map(depth, trees)) <= 16
