"""Texts as one array of code points, and the rules of `readability_triton.stages.text` as tables of code points."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages import text as rules
from readability_triton.stages.arrays import Array

ROW_END = 0x110000
"""Stands after the last character of each row: no code point, and in no class."""

WORD, RAW_WORD, SPACE, MARK = (1 << bit for bit in range(4))
"""Classes: of a word's letters and digits after `str.lower`, and before; white space; a punctuation mark."""

_CLASSES = {
    RAW_WORD: r"[^\W_]",
    SPACE: r"\s",
    MARK: f"[{re.escape(rules.PUNCTUATION)}]",
}

CONTEXTUAL = "İΣ"
"""What `str.lower` does not turn into one character whatever stands around it."""


@dataclass(frozen=True)
class Tables:
    """What is known of each code point, by number; the last element is that of `ROW_END`.

    Attributes:
        lower: INT32 [0x110001], its lower case; of the curly apostrophe, the straight one.
        classes: UINT8 [0x110001], its classes.
    """

    lower: Array
    classes: Array

    def on(self, xp: Any) -> "Tables":
        """The same as arrays of `xp`, NumPy or CuPy."""
        return Tables(*(xp.asarray(table) for table in (self.lower, self.classes)))


@cache
def tables() -> Tables:
    """The tables, derived from the rules themselves."""
    everything = "".join(map(chr, range(ROW_END)))
    lower = np.arange(ROW_END + 1, dtype=np.int32)
    for code, lowered in enumerate(map(str.lower, everything)):
        if len(lowered) == 1:
            lower[code] = ord(lowered)
    lower[ord("’")] = ord("'")
    classes = np.zeros(ROW_END + 1, np.uint8)
    for bit, pattern in _CLASSES.items():
        classes[_matching(pattern, everything)] |= bit
    classes[(classes & RAW_WORD)[lower] > 0] |= WORD
    return Tables(lower, classes)


def _matching(pattern: str, characters: str, flags: re.RegexFlag = re.NOFLAG) -> list[int]:
    return [match.start() for match in re.finditer(pattern, characters, flags)]


@dataclass(frozen=True)
class Characters:
    """B texts, one after another.

    Attributes:
        codes: INT32 [N], their code points, `ROW_END` after each text.
        starts: INT64 [B], where each begins.
        ends: INT64 [B], where its `ROW_END` is.
        xp: the module of the arrays, NumPy or CuPy.
    """

    codes: Array
    starts: Array
    ends: Array
    xp: Any

    def __len__(self) -> int:
        return len(self.starts)

    def per_row(self, chosen: Array) -> Array:
        """How many of the chosen characters, BOOL [N], each row has, its `ROW_END` included: INT64 [B]."""
        before = running_sum(chosen, self.xp)
        return before[self.ends + 1] - before[self.starts]

    @property
    def rows(self) -> Array:
        """The row of each character: INT64 [N]."""
        return running_sum(self.codes == ROW_END, self.xp)[:-1]


def as_characters(texts: Sequence[str], xp: Any) -> Characters:
    """The code points of `texts`, in memory of `xp`: this is where a text goes to the device."""
    codes = _code_points("\n".join([*texts, ""]))
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1) - 1
    codes[ends] = ROW_END
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(texts)]
    return Characters(xp.asarray(codes), xp.asarray(starts), xp.asarray(ends), xp)


def _code_points(text: str) -> NDArray[np.int32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32).copy()


def running_sum(values: Array, xp: Any) -> Array:
    """The sum of all elements before each, and of all: [N] to [N + 1], INT64, or UINT64 of such, which wraps around."""
    kind = xp.uint64 if values.dtype == xp.uint64 else xp.int64
    sums = xp.zeros(len(values) + 1, kind)
    xp.cumsum(values, dtype=kind, out=sums[1:])
    return sums


def previous(values: Array, xp: Any) -> Array:
    """Of each element the one before it; of the first, False: BOOL [N]."""
    return xp.concatenate([xp.zeros(1, bool), values[:-1]])


def following(values: Array, xp: Any) -> Array:
    """Of each element the one after it; of the last, False: BOOL [N]."""
    return xp.concatenate([values[1:], xp.zeros(1, bool)])
