"""How far a score may lie from what people would say: a table of offsets by a text's length and its score."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IntervalTable:
    """Offsets of an interval's ends from the score, for bands of length and, in each, bands of difficulty.

    Attributes:
        level: share of texts whose human score the interval holds, such as 0.9.
        longest: words of the longest text that the table was calibrated on.
        words: W - 1 rising edges between bands of words; an edge belongs to the band above it.
        scores: of each of W bands, S - 1 rising edges between bands of scores.
        low: what is added to a score for the lower end, [W][S].
        high: the same for the upper end.
    """

    level: float
    longest: int
    words: Sequence[int]
    scores: Sequence[Sequence[float]]
    low: Sequence[Sequence[float]]
    high: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        """Refuse a table whose parts do not fit one another.

        Raises:
            ValueError: if the level is not between 0 and 1, edges do not rise, or there are too few offsets.
        """
        if not 0 < self.level < 1:
            raise ValueError(f"level {self.level} is not between 0 and 1")
        if not len(self.words) + 1 == len(self.scores) == len(self.low) == len(self.high):
            raise ValueError("an interval table needs scores and offsets for every band of words")
        for edges in (self.words, *self.scores):
            if list(edges) != sorted(edges):
                raise ValueError(f"edges {list(edges)} do not rise")
        for edges, low, high in zip(self.scores, self.low, self.high, strict=True):
            if not len(edges) + 1 == len(low) == len(high):
                raise ValueError("an interval table needs offsets for every band of scores")

    def interval(
        self, scores: NDArray[np.float64], words: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends FP64 [N] of scores [N] of texts of so many words [N].

        NaN for texts without a word or with more than `longest`: nothing is known of them.
        """
        bands = np.searchsorted(self.words, words, side="right")
        low, high = np.empty((2, len(scores)))
        for band, edges in enumerate(self.scores):
            rows = np.flatnonzero(bands == band)
            cells = np.searchsorted(edges, scores[rows], side="right")
            low[rows] = scores[rows] + np.asarray(self.low[band])[cells]
            high[rows] = scores[rows] + np.asarray(self.high[band])[cells]
        unknown = (words < 1) | (words > self.longest)
        low[unknown] = high[unknown] = np.nan
        return low, high

    def to_text(self) -> str:
        """JSON on one line, as a parameter of `config.pbtxt` holds it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "IntervalTable":
        """What `to_text` gave.

        Raises:
            ValueError: if it is not such a table.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not an interval table: {error}") from error
