"""Rank correlation with levels that people gave, such as those of the CEFR: 1 is the easiest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readability_triton.training.metrics import spearman
from readability_triton.training.yardsticks.figure import Figure, Score
from readability_triton.training.yardsticks.table_file import YardstickError, read_rows

FEWEST = 3
"""Texts of one source from which a rank correlation is computed."""


@dataclass(frozen=True)
class LevelledTexts:
    """N texts with levels.

    Attributes:
        texts: N texts.
        levels: FP64 [N], 1 for the easiest; the mean where several people judged.
        sources: where each is from; correlations are computed within a source.
    """

    texts: list[str]
    levels: NDArray[np.float64]
    sources: list[str]


def read_levels(path: Path) -> LevelledTexts:
    """Read the columns `sentence`, `level_a` and `level_b` (or `level` alone), and `source` where there is one.

    Raises:
        YardstickError: if a column is missing, a text is empty or a level is not a finite number.
        OSError: if the file cannot be read.
    """
    rows = read_rows(path, ["sentence"])
    judges: list[str] = [column for column in ("level_a", "level_b") if column in rows[0]]
    judges = judges or ["level"]
    rows = read_rows(path, ["sentence", *judges])
    levels = np.array([[_level(row[judge], path, line) for judge in judges] for line, row in enumerate(rows, start=1)])
    return LevelledTexts(
        [row["sentence"] for row in rows], levels.mean(axis=1), [row.get("source") or path.name for row in rows]
    )


def _level(value: str, path: Path, row: int) -> float:
    try:
        level = float(value)
    except ValueError:
        raise YardstickError(f"{path}, row {row}: level {value!r} is not a number") from None
    if not np.isfinite(level):
        raise YardstickError(f"{path}, row {row}: level {value!r} is not finite")
    return level


def correlation_with_levels(levelled: LevelledTexts, score: Score) -> list[Figure]:
    """Spearman's rank correlation of ease and level, its sign turned so that 1 is best; one figure a source."""
    scores = score(levelled.texts)
    sources = np.array(levelled.sources)
    figures = []
    for source in dict.fromkeys(levelled.sources):
        rows = np.flatnonzero(sources == source)
        values = np.full(len(scores), np.nan)
        if len(rows) >= FEWEST:
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.array([-spearman(each[rows], levelled.levels[rows]) for each in scores])
        figures.append(Figure(f"rank correlation with levels, {source}", len(rows), values, "levels"))
    return figures
