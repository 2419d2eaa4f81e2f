"""How far a score may lie from what people would say: a table of offsets by a text's length and its score."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

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
        edges_of_words, edges_of_scores, offsets = self._arrays
        bands = edges_of_words.searchsorted(words, side="right")
        cells = (edges_of_scores[bands] <= scores[:, None]).sum(axis=1)
        low, high = scores + offsets[:, bands, cells]
        unknown = (words < 1) | (words > self.longest)
        low[unknown] = high[unknown] = np.nan
        return low, high

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Edges of words [W - 1], of scores [W, S - 1] and offsets [2, W, S]; NaN where a band has fewer cells."""
        most = max(map(len, self.low))
        edges = [[*row, *[np.nan] * (most - 1 - len(row))] for row in self.scores]
        offsets = [[[*row, *[np.nan] * (most - len(row))] for row in ends] for ends in (self.low, self.high)]
        words = np.array(self.words, dtype=np.int64)
        return words, np.array(edges, dtype=np.float64).reshape(len(edges), most - 1), np.array(offsets)

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
