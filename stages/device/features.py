"""Stage `preprocess`, part two, on the device: the 207 features of `readability_triton.stages.features`, by arrays.

Sentences are counted on the host, where the texts are: a library finds them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from readability_triton.stages import features as reference
from readability_triton.stages.arrays import Array
from readability_triton.stages.device.characters import CONTEXTUAL, MARK, as_characters, tables
from readability_triton.stages.device.words import Words, find_words, hash_words, is_among
from readability_triton.stages.features import COUNTS, N_FEATURES, VOCABULARY_SIZE, FeatureSpec
from readability_triton.stages.sentences import count_sentences


class DeviceFeatures:
    """Features made where the arrays of `xp` lie.

    Args:
        spec: what the training corpus fixes.
        xp: the array module, CuPy or NumPy.
    """

    def __init__(self, spec: FeatureSpec, xp: Any) -> None:
        self._spec, self._xp, self._tables = spec, xp, tables().on(xp)
        self._mean, self._std = xp.asarray(spec.mean), xp.asarray(spec.std)
        self._stop_words = xp.sort(hash_words(sorted(spec.stop_words), self._tables, xp))
        self._vocabularies = [self._sorted(words) for words in (spec.frequent, spec.rare)]

    def extract(self, texts: Sequence[str]) -> Array:
        """The normalised features of `texts`: FP32 [B, 207]."""
        return ((self.raw(texts) - self._mean) / self._std).astype(self._xp.float32)

    def raw(self, texts: Sequence[str]) -> Array:
        """The features of `texts` before normalisation: FP64 [B, 207].

        A row with a character whose lower case depends on what stands around it is counted on the host.
        """
        table = self._xp.zeros((len(texts), N_FEATURES))
        if texts:
            self._fill(table, texts)
        on_host = [row for row, text in enumerate(texts) if any(character in text for character in CONTEXTUAL)]
        if on_host:
            counted = reference.raw_features([texts[row] for row in on_host], self._spec)
            table[self._xp.asarray(on_host)] = self._xp.asarray(counted)
        return table

    def _fill(self, table: Array, texts: Sequence[str]) -> None:
        xp = self._xp
        characters = as_characters(texts, xp)
        words = find_words(characters, self._tables)
        sentences = xp.asarray(np.fromiter(map(count_sentences, texts), np.int64, len(texts)))
        stops = is_among(words.hashes, self._stop_words, xp)
        distinct = _sums(words.rows, xp.ones(len(words.rows)), len(table), xp)
        stop_words = _sums(words.rows, words.counts * stops, len(table), xp)
        marks = characters.per_row((self._tables.classes[characters.codes] & MARK) > 0)
        at_least_one = xp.maximum(sentences, 1)
        table[:, : len(COUNTS)] = xp.stack(
            [
                words.totals,
                distinct,
                marks,
                sentences,
                words.totals / at_least_one,
                stop_words,
                stop_words / at_least_one,
            ],
            axis=1,
        )
        for number, (hashes, columns) in enumerate(self._vocabularies):
            self._fill_shares(table, words, hashes, columns + len(COUNTS) + number * VOCABULARY_SIZE)

    def _fill_shares(self, table: Array, words: Words, hashes: Array, columns: Array) -> None:
        xp = self._xp
        known = is_among(words.hashes, hashes, xp)
        rows = words.rows[known]
        place = xp.searchsorted(hashes, words.hashes[known])
        table[rows, columns[place]] = words.counts[known] / words.totals[rows]

    def _sorted(self, words: Sequence[str]) -> tuple[Array, Array]:
        """Hashes in ascending order, and the place of each in `words`."""
        hashes = hash_words(words, self._tables, self._xp)
        order = self._xp.argsort(hashes)
        return hashes[order], order


def _sums(rows: Array, values: Array, n_rows: int, xp: Any) -> Array:
    """The sum of each row's values: FP64 [n_rows]. CuPy's `bincount` refuses to count nothing."""
    return xp.bincount(rows, values, n_rows) if len(rows) else xp.zeros(n_rows)
