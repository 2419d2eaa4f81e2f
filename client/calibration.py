"""Intervals and CEFR levels of scores: which scores have them.

Both are calibrated on the blend at the fitted weight. A score that is anything else, or of a text unlike those that
were calibrated on, has neither: NaN and None take the place of a number that would be wrong.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.client.scores import Levels
from readability_triton.client.served_model import ServedModel
from readability_triton.stages.text import words

ENSEMBLE = "ensemble_all"
"""The route of rows that a policy hands to the ensemble."""


def are_calibrated(
    model: ServedModel,
    scores: NDArray[np.float32],
    weights: NDArray[np.float32],
    routes: Sequence[str] | None,
    degraded: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:
    """Which of N scores are the blend at the weight that `model` was fitted with, BOOL [N].

    Args:
        model: what the configuration of the model that answered says.
        scores: FP32 [N].
        weights: FP32 [N], as requested.
        routes: N times the models whose scores went into the text's; None if the answer does not say.
        degraded: BOOL [N], whether the score is not the requested one; None if the answer does not say.
    """
    if model.bert_weight is None:
        return np.zeros(len(scores), dtype=np.bool_)
    calibrated = np.isfinite(scores) & (weights == np.float32(model.bert_weight))
    if routes is not None and degraded is not None:
        calibrated &= ~degraded & np.array([_is_whole(route, model.bert_weight) for route in routes], dtype=np.bool_)
    elif model.reports_routes:
        calibrated[:] = False
    return calibrated


def _is_whole(route: str, weight: float) -> bool:
    """Whether every model with a share in the blend has answered."""
    needed = ({"bert-large"} if weight > 0 else set()) | ({"cuml"} if weight < 1 else set())
    return route == ENSEMBLE or needed <= set(route.split("+"))


def intervals_and_levels(
    model: ServedModel, scores: NDArray[np.float32], texts: Sequence[bytes], calibrated: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], Levels]:
    """Intervals FP32 [N, 2] and N levels of scores.

    Args:
        model: what the configuration of the model that answered says.
        scores: FP32 [N].
        texts: N texts, UTF-8.
        calibrated: BOOL [N], what `are_calibrated` gave.

    Returns:
        Lower and upper ends, NaN where `model` has no table, the score is not calibrated, or the text has no word or
        more words than any that the table was calibrated on; and levels, None where `model` has no line, the score is
        not calibrated, or the text has no word.
    """
    intervals = np.full((len(scores), 2), np.nan, dtype=np.float32)
    levels: list[str | None] = [None] * len(scores)
    if not model.is_calibrated:
        return intervals, tuple(levels)
    (rows,) = calibrated.nonzero()
    lengths = np.array([len(words(texts[row].decode(errors="replace"))) for row in rows], dtype=np.int64)
    if model.intervals is not None:
        intervals[rows, 0], intervals[rows, 1] = model.intervals.interval(scores[rows].astype(np.float64), lengths)
    for row, score in zip(rows[lengths > 0].tolist(), scores[rows[lengths > 0]].tolist(), strict=True):
        levels[row] = model.level(score)
    return intervals, tuple(levels)


def of_answer(
    model: ServedModel,
    scores: NDArray[np.float32],
    weights: NDArray[np.float32],
    routes: NDArray[Any] | None,
    degraded: NDArray[np.bool_] | None,
    texts: NDArray[Any],
) -> tuple[NDArray[np.float32], Levels]:
    """Intervals FP32 [N, 2] and N levels of the scores in an answer; arguments as above, `routes` and `texts` UTF-8."""
    names = None if routes is None else [route.decode() for route in routes.tolist()]
    calibrated = are_calibrated(model, scores, weights, names, degraded)
    return intervals_and_levels(model, scores, texts.tolist(), calibrated)
