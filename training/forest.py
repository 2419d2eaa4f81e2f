"""Fit the forest over the 207 features: scikit-learn on the CPU, cuML on a GPU, one Treelite model from either."""

import importlib.util

import numpy as np
import treelite
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

N_TREES = 100
MAX_DEPTH = 16
MAX_FEATURES = 0.25
MIN_SAMPLES_LEAF = 2


def forest_device(device: str) -> str:
    """Where to fit forests when the encoder is on `device`: on the GPU only with cuML."""
    return "cuda" if device == "cuda" and importlib.util.find_spec("cuml") else "cpu"


def fit_forest(
    features: NDArray[np.float32], targets: NDArray[np.float64], seed: int, device: str = "cpu"
) -> treelite.Model:
    """A forest of 100 trees at most 16 deep on features FP32 [N, 207] and targets [N].

    A quarter of the features at each split and two rows a leaf were best of 14 settings in the cross-validation by url
    (RMSE 0.798 against 0.801 to 0.804).

    Args:
        features: FP32 [N, 207].
        targets: FP64 [N].
        seed: of the drawn rows and features.
        device: "cpu" for scikit-learn, "cuda" for `cuml.ensemble.RandomForestRegressor` with the same settings.

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
        return _fit_cuml(features, targets, settings)
    return treelite.sklearn.import_model(RandomForestRegressor(**settings, n_jobs=-1).fit(features, targets))


def _fit_cuml(
    features: NDArray[np.float32], targets: NDArray[np.float64], settings: dict[str, float]
) -> treelite.Model:
    from cuml.ensemble import RandomForestRegressor as CumlRandomForestRegressor  # only where a GPU is

    # More than one stream draws rows in an order that is not the same twice.
    forest = CumlRandomForestRegressor(**settings, n_streams=1)
    return forest.fit(features, targets.astype(np.float32)).as_treelite()
