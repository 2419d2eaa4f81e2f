"""The words of texts, found and told apart by arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from readability_triton.stages.arrays import Array
from readability_triton.stages.device.characters import (
    WORD,
    Characters,
    Tables,
    as_characters,
    following,
    previous,
    running_sum,
)

APOSTROPHE = ord("'")
FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, made odd: Knuth, The Art of Computer Programming 3, section 6.4."""
ROW_FACTOR = np.uint64(0xD1342543DE82EF95)
"""Steele and Vigna, Computationally easy, spectrally good multipliers (2021), table for 64 bits."""
LONGEST_PERIOD = 4096


@dataclass(frozen=True)
class Words:
    """The words of B texts, each once a row.

    Attributes:
        rows: INT64 [W], the row of each.
        hashes: UINT64 [W], by which words are told apart: two different ones of the same are not to be expected.
        counts: INT64 [W], how often the row has it.
        totals: INT64 [B], how many words each row has.
    """

    rows: Array
    hashes: Array
    counts: Array
    totals: Array


def find_words(characters: Characters, tables: Tables) -> Words:
    """The words of `readability_triton.stages.text.words`, of texts without `CONTEXTUAL` characters."""
    xp = characters.xp
    lower = tables.lower[characters.codes]
    inside = _inside(lower, (tables.classes[characters.codes] & WORD) > 0, xp)
    starts = inside & ~previous(inside, xp)
    begins, ends = xp.flatnonzero(starts), xp.flatnonzero(inside & ~following(inside, xp)) + 1
    hashes = _hashes(lower, inside, begins, ends, xp)
    rows = characters.rows[begins]
    _, first, counts = xp.unique(hashes + rows.astype(xp.uint64) * ROW_FACTOR, return_index=True, return_counts=True)
    return Words(rows[first], hashes[first], counts, characters.per_row(starts))


def hash_words(words: Sequence[str], tables: Tables, xp: Any) -> Array:
    """The hash of each word, UINT64 [len(words)], in their order."""
    characters = as_characters(words, xp)
    everything = characters.codes < len(tables.lower) - 1
    return _hashes(tables.lower[characters.codes], everything, characters.starts, characters.ends, xp)


def is_among(values: Array, known: Array, xp: Any) -> Array:
    """Whether each value is one of the sorted known ones: BOOL, of the values' shape."""
    if not len(known):
        return xp.zeros(values.shape, bool)
    return known[xp.minimum(xp.searchsorted(known, values), len(known) - 1)] == values


def _inside(lower: Array, letters: Array, xp: Any) -> Array:
    """Letters, and single apostrophes between them."""
    return letters | ((lower == APOSTROPHE) & previous(letters, xp) & following(letters, xp))


def _hashes(lower: Array, inside: Array, begins: Array, ends: Array, xp: Any) -> Array:
    """A polynomial of each word's characters, modulo 2^64: the difference of two running sums."""
    place = xp.zeros(len(lower), xp.int64)
    place[begins] = 1
    word = xp.cumsum(place) - 1
    place = (xp.arange(len(lower)) - begins[xp.maximum(word, 0)]) % LONGEST_PERIOD if len(begins) else place
    terms = xp.where(inside, (lower.astype(xp.uint64) + np.uint64(1)) * _powers(xp)[place], np.uint64(0))
    sums = running_sum(terms, xp)
    return sums[ends] - sums[begins]


@cache
def _powers(xp: Any) -> Array:
    return xp.asarray(np.multiply.accumulate(np.full(LONGEST_PERIOD, FACTOR, np.uint64)))
