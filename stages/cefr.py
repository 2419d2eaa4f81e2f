"""A level of the Common European Framework of Reference (CEFR) for a score, A1 the easiest."""

from dataclasses import dataclass

NAMES = ("A1", "A2", "B1", "B2", "C1", "C2")


@dataclass(frozen=True)
class LevelLine:
    """Levels, 1 for A1 to 6 for C2, as a linear function of the score.

    Attributes:
        start: the level at a score of 0.
        slope: levels a point of score; negative, as higher scores are easier.
        error: root-mean-squared error in levels, on sentences that were not learned from.
    """

    start: float
    slope: float
    error: float

    def level(self, score: float) -> float:
        """The level as a number, within 1 to 6."""
        return min(max(self.start + self.slope * score, 1.0), float(len(NAMES)))

    def name(self, score: float) -> str:
        """The nearest level's name."""
        return NAMES[int(self.level(score) + 0.5) - 1]
