"""Fit what decides in policy `cascade`: a small forest that predicts how far the scores of the two scorers differ.

It learns from out-of-fold scores, since those of models that know a row differ less than those on a new text.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import treelite
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions, folds
from readability_triton.training.metrics import rmse

N_TREES = 50
MAX_DEPTH = 8
MAX_FEATURES = 0.25
MIN_SAMPLES_LEAF = 20


class Point(NamedTuple):
    """One tolerance of the cascade.

    Attributes:
        tolerance: rows expected to differ by no more skip the encoder.
        skipped: their share of all rows.
        rmse: of all rows, those that skipped scored by the forest, the others by the encoder.
        by_chance: the same if as many rows were chosen at random, in expectation.
    """

    tolerance: float
    skipped: float
    rmse: float
    by_chance: float


def fit_gate(features: NDArray[np.float32], scores: Predictions, seed: int) -> treelite.Model:
    """A forest on features FP32 [N, 207] that predicts the absolute difference of two out-of-fold scores."""
    forest = RandomForestRegressor(
        n_estimators=N_TREES,
        max_depth=MAX_DEPTH,
        max_features=MAX_FEATURES,
        min_samples_leaf=MIN_SAMPLES_LEAF,
        random_state=seed,
        n_jobs=-1,
    )
    return treelite.sklearn.import_model(forest.fit(features, np.abs(scores.bert - scores.cuml)))


def out_of_fold_gate(corpus: Corpus, scores: Predictions, seed: int) -> NDArray[np.float64]:
    """What gates that never saw a row's source expect of it: FP64 [N]."""
    expected = np.empty(len(corpus.texts))
    for fit, held_out in folds(corpus, seed):
        spec = FeatureSpec.fit([corpus.texts[row] for row in fit])
        known, new = (extract([corpus.texts[row] for row in rows], spec) for rows in (fit, held_out))
        gate = fit_gate(known, Predictions(scores.bert[fit], scores.cuml[fit]), seed)
        expected[held_out] = predict(gate, new)[:, 0]
    return expected


def cascade_curve(
    expected: NDArray[np.float64], scores: Predictions, targets: NDArray[np.float64], shares: Sequence[float]
) -> list[Point]:
    """What it costs to let these shares of the rows skip the encoder.

    Args:
        expected: the gate's predictions, FP64 [N].
        scores: of encoder and forest, out of fold.
        targets: FP64 [N].
        shares: in [0, 1].
    """
    rising = np.argsort(expected, kind="stable")
    errors = [float(np.mean((each - targets) ** 2)) for each in scores]
    points = []
    for share in shares:
        n_skipped = round(share * len(rising))
        cascaded = scores.bert.copy()
        cascaded[rising[:n_skipped]] = scores.cuml[rising[:n_skipped]]
        tolerance = float(expected[rising[n_skipped - 1]]) if n_skipped else 0.0
        by_chance = float(np.sqrt(errors[0] + share * (errors[1] - errors[0])))
        points.append(Point(tolerance, n_skipped / len(rising), rmse(cascaded, targets), by_chance))
    return points
