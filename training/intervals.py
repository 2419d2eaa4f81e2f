"""Calibrate intervals on scores by models that saw neither a text nor its source.

Split-conformal quantiles of the residuals, in cells of length and score (Vovk, Gammerman and Shafer, Algorithmic
Learning in a Random World, 2005; Mondrian: within a cell the interval holds a new text's human score with at least the
level asked for, if texts of the cell are exchangeable).
"""

import math

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.interval import IntervalTable

WORD_EDGES = (15, 35, 70, 120)
"""Between a sentence, two, a paragraph, half an excerpt and an excerpt."""

SCORE_BANDS = 3
FEWEST = 100
"""Texts of a cell; a band with fewer has fewer cells, and bands that hold fewer are joined to the next longer."""


def calibrate(
    scores: NDArray[np.float64],
    targets: NDArray[np.float64],
    words: NDArray[np.int64],
    level: float = 0.9,
    word_edges: tuple[int, ...] = WORD_EDGES,
) -> IntervalTable:
    """The table whose intervals hold a share `level` of the targets in every cell.

    Args:
        scores: FP64 [N], out of fold.
        targets: FP64 [N], human scores.
        words: INT64 [N], words of each text.
        level: the share.
        word_edges: between bands of length, rising.

    Raises:
        ValueError: if there are too few texts for the level.
    """
    least = math.ceil(round(2 / (1 - level), 6)) - 1  # rounded: 1 - 0.9 is a little less than 0.1
    if len(scores) < least:
        raise ValueError(f"{len(scores)} texts are too few for intervals that hold {level:.0%}; {least} are needed")
    edges = _filled_bands(words, word_edges)
    bands = np.searchsorted(edges, words, side="right")
    score_edges, low, high = [], [], []
    for band in range(len(edges) + 1):
        own = scores[bands == band]
        residuals = targets[bands == band] - own
        n_cells = max(1, min(SCORE_BANDS, len(own) // max(FEWEST, least)))
        between = np.unique(np.quantile(own, np.arange(1, n_cells) / n_cells).round(4)).tolist()
        cells = np.searchsorted(between, own, side="right")
        ends = [_ends(residuals[cells == cell], level) for cell in range(len(between) + 1)]
        score_edges.append(between)
        low.append([round(lower, 4) for lower, _ in ends])
        high.append([round(upper, 4) for _, upper in ends])
    return IntervalTable(level, int(words.max()), edges, score_edges, low, high)


def coverage(
    table: IntervalTable, scores: NDArray[np.float64], targets: NDArray[np.float64], words: NDArray[np.int64]
) -> list[tuple[str, int, float, float]]:
    """Of all texts and of each band of length: its name, how many texts, the share held, and the mean width."""
    low, high = table.interval(scores, words)
    held = (low <= targets) & (targets <= high)
    bands = np.searchsorted(table.words, words, side="right")
    starts, ends = [1, *table.words], [*(str(edge - 1) for edge in table.words), ""]
    rows = [("all texts", np.ones(len(scores), bool))]
    for band, (start, end) in enumerate(zip(starts, ends, strict=True)):
        rows.append((f"{start} to {end} words" if end else f"{start} words and more", bands == band))
    return [
        (name, int(own.sum()), float(held[own].mean()), float((high - low)[own].mean()))
        for name, own in rows
        if own.any()
    ]


def _filled_bands(words: NDArray[np.int64], edges: tuple[int, ...]) -> list[int]:
    """The edges between bands that hold enough texts; a band with too few is joined to the next longer one."""
    kept: list[int] = []
    for edge in edges:
        lower = kept[-1] if kept else 0
        if np.count_nonzero((words >= lower) & (words < edge)) >= FEWEST:
            kept.append(edge)
    while kept and np.count_nonzero(words >= kept[-1]) < FEWEST:
        kept.pop()
    return kept


def _ends(residuals: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The conformal quantiles of residuals, half of what is left out on either side."""
    ordered = np.sort(residuals)
    n, share = len(ordered), (1 - level) / 2
    below = math.floor(share * (n + 1))
    if below < 1:  # too few for the level: the widest that was seen
        return float(ordered[0]), float(ordered[-1])
    return float(ordered[below - 1]), float(ordered[n - below])
