"""A checkpoint predicts what the forest that it was made from predicts."""

import os
from pathlib import Path

import numpy as np
import pytest
import treelite
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

from readability_triton.stages.forest import load_forest, predict

N_FEATURES = 9


def rows(seed: int, n: int = 200) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, N_FEATURES)).astype(np.float32)


@pytest.fixture(scope="module")
def trained() -> RandomForestRegressor:
    features = rows(0)
    return RandomForestRegressor(12, max_depth=8, random_state=0).fit(features, features[:, 0] * features[:, 1])


@pytest.fixture(scope="module")
def checkpoint(trained: RandomForestRegressor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forest") / "checkpoint.tl"
    treelite.sklearn.import_model(trained).serialize(str(path))
    return path


def stump(dtype: str, threshold: float) -> treelite.Model:
    """One split: 1 below the threshold, else 2."""
    builder = ModelBuilder(
        threshold_type=dtype,
        leaf_output_type=dtype,
        metadata=Metadata(
            1, "kRegressor", average_tree_output=False, num_target=1, num_class=[1], leaf_vector_shape=(1, 1)
        ),
        tree_annotation=TreeAnnotation(num_tree=1, target_id=[0], class_id=[0]),
        postprocessor=PostProcessorFunc("identity"),
        base_scores=[0.0],
    )
    builder.start_tree()
    split = {"feature_id": 0, "threshold": threshold, "default_left": True, "opname": "<"}
    builder.start_node(0)
    builder.numerical_test(**split, left_child_key=1, right_child_key=2)
    builder.end_node()
    for node, value in ((1, 1.0), (2, 2.0)):
        builder.start_node(node)
        builder.leaf(value)
        builder.end_node()
    builder.end_tree()
    return builder.commit()


def test_scores_are_those_of_scikit_learn(trained: RandomForestRegressor, checkpoint: Path) -> None:
    scores = predict(load_forest(checkpoint), rows(1))
    assert (scores.dtype, scores.shape) == (np.float32, (200, 1))
    np.testing.assert_allclose(scores.ravel(), trained.predict(rows(1)), atol=1e-6)


def test_rows_on_a_threshold_go_where_scikit_learn_sends_them(trained: RandomForestRegressor, checkpoint: Path) -> None:
    features = rows(2)
    tree = trained.estimators_[0].tree_
    for node in np.flatnonzero(tree.feature >= 0):
        features[node % len(features), tree.feature[node]] = tree.threshold[node]
    np.testing.assert_allclose(predict(load_forest(checkpoint), features).ravel(), trained.predict(features), atol=1e-6)


def test_a_batch_is_its_rows_one_by_one(checkpoint: Path) -> None:
    forest, features = load_forest(checkpoint), rows(3, 10)
    assert predict(forest, features).tolist() == [predict(forest, row[None])[0].tolist() for row in features]


@pytest.mark.parametrize("threads", [1, 2, 0])
def test_the_number_of_threads_changes_nothing(checkpoint: Path, threads: int) -> None:
    forest = load_forest(checkpoint)
    threads = min(threads, int(os.environ.get("OMP_NUM_THREADS", threads)))  # Treelite refuses more, as under xdist
    assert predict(forest, rows(4), threads).tobytes() == predict(forest, rows(4)).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forests_of_either_precision_compare_exactly(dtype: str) -> None:
    threshold = np.float32(0.1)
    below, above = np.nextafter(threshold, np.float32([-1, 1]))
    features = np.array([[below], [threshold], [above]], dtype=np.float32)
    assert predict(stump(dtype, float(threshold)), features).ravel().tolist() == [1.0, 2.0, 2.0]


def test_a_threshold_between_two_fp32_numbers_separates_them() -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    scores = predict(stump("float64", (float(low) + float(high)) / 2), np.array([[low], [high]], dtype=np.float32))
    assert scores.ravel().tolist() == [1.0, 2.0]


def test_a_missing_file_is_a_treelite_error(tmp_path: Path) -> None:
    with pytest.raises(treelite.TreeliteError):
        load_forest(tmp_path / "checkpoint.tl")


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.1])
def test_a_truncated_file_is_a_treelite_error(checkpoint: Path, tmp_path: Path, keep: float) -> None:
    content = checkpoint.read_bytes()
    (tmp_path / "checkpoint.tl").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(treelite.TreeliteError):
        load_forest(tmp_path / "checkpoint.tl")


def test_a_file_that_is_no_checkpoint_is_a_treelite_error(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.tl").write_bytes(b"no checkpoint " * 50)
    with pytest.raises(treelite.TreeliteError):
        load_forest(tmp_path / "checkpoint.tl")
