"""The sentences of texts, counted by arrays."""

from functools import cache
from typing import Any

import numpy as np

from readability_triton.stages import text as rules
from readability_triton.stages.arrays import Array
from readability_triton.stages.device.characters import (
    CLOSING,
    RAW_WORD,
    ROW_END,
    SENTENCE_END,
    SMALL,
    SPACE,
    Characters,
    Tables,
    following,
    next_where,
    previous,
    running_sum,
)

FULL_STOP = ord(".")
LONGEST = max(map(len, rules.ABBREVIATIONS))


def count_sentences(characters: Characters, tables: Tables) -> Array:
    """`readability_triton.stages.text.count_sentences` of each row: INT64 [B]."""
    xp = characters.xp
    classes = tables.classes[characters.codes]
    ends = _sentence_ends(characters, classes, tables)
    ending = xp.zeros(len(characters.codes), bool)
    ending[ends - 1] = True
    last = xp.concatenate([xp.zeros(1, xp.int64), ends])[xp.searchsorted(ends, characters.ends, side="right")]
    letters = running_sum((classes & RAW_WORD) > 0, xp)
    unfinished = letters[characters.ends] > letters[xp.maximum(last, characters.starts)]
    return characters.per_row(ending) + unfinished


def _sentence_ends(characters: Characters, classes: Array, tables: Tables) -> Array:
    """Where sentences end, closing marks included: INT64 [S], ascending."""
    xp, codes = characters.xp, characters.codes
    marks = (classes & SENTENCE_END) > 0
    first, after = xp.flatnonzero(marks & ~previous(marks, xp)), xp.flatnonzero(marks & ~following(marks, xp)) + 1
    closed = next_where((classes & CLOSING) == 0, after, xp)
    goes_on = next_where((classes & SPACE) == 0, closed, xp)
    ends = (codes[goes_on] == ROW_END) | ((goes_on > closed) & ((classes[goes_on] & SMALL) == 0))
    lone_stop = (closed == first + 1) & (codes[first] == FULL_STOP)
    return closed[ends & ~(lone_stop & _abbreviated(characters, classes, tables, first))]


def _abbreviated(characters: Characters, classes: Array, tables: Tables, stops: Array) -> Array:
    """Whether what stands before each full stop is an abbreviation or an initial: BOOL [S]."""
    xp = characters.xp
    margin = LONGEST + 1  # nothing stands before the first text
    codes = xp.concatenate([xp.full(margin, ROW_END, characters.codes.dtype), characters.codes])
    letter = xp.concatenate([xp.zeros(margin, bool), (classes & RAW_WORD) > 0])
    at = stops + margin
    capital = (codes[at - 1] >= ord("A")) & (codes[at - 1] <= ord("Z"))
    found = capital & ~letter[at - 2]
    packed = xp.zeros(len(stops), xp.int64)
    for length in range(1, LONGEST + 1):
        packed = packed | (tables.folded[codes[at - length]] << (8 * (length - 1)))
        known = is_among(packed, _packed_abbreviations(length, xp), xp)
        found = found | (known & ~letter[at - length - 1])
    return found


@cache
def _packed_abbreviations(length: int, xp: Any) -> Array:
    """The abbreviations of this length as numbers, a byte a character, the last one lowest: sorted INT64."""
    numbers = [int.from_bytes(each.encode(), "big") for each in rules.ABBREVIATIONS if len(each) == length]
    return xp.asarray(np.array(sorted(numbers), np.int64))


def is_among(values: Array, known: Array, xp: Any) -> Array:
    """Whether each value is one of the sorted known ones: BOOL, of the values' shape."""
    if not len(known):
        return xp.zeros(values.shape, bool)
    return known[xp.minimum(xp.searchsorted(known, values), len(known) - 1)] == values
