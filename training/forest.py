"""Fit the forest over the 207 features: scikit-learn on the CPU, cuML on a GPU, one Treelite model from either."""

import importlib.util
from collections.abc import Sequence

import numpy as np
import treelite
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.training.yardsticks.openings import SENTENCES, opening

N_TREES = 100
MAX_DEPTH = 16
MAX_FEATURES = 0.25
MIN_SAMPLES_LEAF = 2

OPENING_SHARE = 4
"""So many openings, a text's first sentences, weigh as much as a text: a forest that has seen whole excerpts alone
knows nothing of short texts. What it brings is in docs/train.md."""


def forest_device(device: str) -> str:
    """Where to fit forests when the encoder is on `device`: on the GPU only with cuML."""
    return "cuda" if device == "cuda" and importlib.util.find_spec("cuml") else "cpu"


def fit_forest_on_texts(
    texts: Sequence[str], targets: NDArray[np.float64], spec: FeatureSpec, seed: int, device: str = "cpu"
) -> treelite.Model:
    """A forest on N texts and on their first 1, 2, 3 and 5 sentences, each with its text's target.

    Args:
        texts: N texts.
        targets: FP64 [N].
        spec: what the features are.
        seed: of the drawn rows and features.
        device: as `fit_forest` takes it.
    """
    openings = [opening(text, n) for n in SENTENCES for text in texts]
    weights = np.repeat([OPENING_SHARE, 1], [len(texts), len(openings)])
    features = extract([*texts, *openings], spec)
    return fit_forest(features, np.tile(targets, 1 + len(SENTENCES)), seed, device, weights)


def fit_forest(
    features: NDArray[np.float32],
    targets: NDArray[np.float64],
    seed: int,
    device: str = "cpu",
    weights: NDArray[np.int64] | None = None,
) -> treelite.Model:
    """A forest of 100 trees at most 16 deep on features FP32 [N, 207] and targets [N].

    A quarter of the features at each split and two rows a leaf were best of 14 settings in the cross-validation by url
    (RMSE 0.798 against 0.801 to 0.804).

    Args:
        features: FP32 [N, 207].
        targets: FP64 [N].
        seed: of the drawn rows and features.
        device: "cpu" for scikit-learn, "cuda" for `cuml.ensemble.RandomForestRegressor` with the same settings.
        weights: INT64 [N], how much each row counts; None for all alike. cuML takes none: rows are repeated instead.

    Raises:
        ImportError: if the device is "cuda" and cuML is not installed.
    """
    settings = {
        "n_estimators": N_TREES,
        "max_depth": MAX_DEPTH,
        "max_features": MAX_FEATURES,
        "min_samples_leaf": MIN_SAMPLES_LEAF,
        "random_state": seed,
    }
    if device == "cuda":
        repeated = np.ones(len(targets), int) if weights is None else weights
        return _fit_cuml(np.repeat(features, repeated, axis=0), np.repeat(targets, repeated), settings)
    forest = RandomForestRegressor(**settings, n_jobs=-1).fit(features, targets, sample_weight=weights)
    return treelite.sklearn.import_model(forest)


def _fit_cuml(
    features: NDArray[np.float32], targets: NDArray[np.float64], settings: dict[str, float]
) -> treelite.Model:
    from cuml.ensemble import RandomForestRegressor as CumlRandomForestRegressor  # only where a GPU is

    # More than one stream draws rows in an order that is not the same twice.
    forest = CumlRandomForestRegressor(**settings, n_streams=1)
    return forest.fit(features, targets.astype(np.float32)).as_treelite()
