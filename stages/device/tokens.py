"""Stage `preprocess`, part one, on the device: WordPiece ids and attention masks by cuDF.

cuDF's tokenizer is not that of Hugging Face in every case, so the texts that it is known to read otherwise go to the
latter, row by row, and are counted.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from readability_triton.stages import tokens as reference
from readability_triton.stages.arrays import Array, to_host
from readability_triton.stages.device.characters import ROW_END, SPACE, Characters, as_characters, running_sum, tables

MEASURED = 0x30000
"""Code points above, almost all unassigned or private, are left to Hugging Face's tokenizer unmeasured."""

LONGEST_WORD = 100
"""Hugging Face's tokenizer gives up on a word of more characters, cuDF's on one of 200 bytes or more."""

MOST_BYTES = 9
"""Of what one character beyond ASCII may become: three letters of three bytes, of a Korean syllable."""

SURROGATES = range(0xD800, 0xE000)


class WordPiece(Protocol):
    """A WordPiece tokenizer on the device."""

    def normalize(self, texts: Sequence[str]) -> list[str]:
        """The texts, cleaned, with white space between words."""

    def tokenize(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Ids of all rows one after another, INT32 [N], and how many each row has, INT32 [B]; no special tokens."""


class CudfWordPiece:
    """The one class that knows cuDF: its normalizer and its WordPiece tokenizer.

    Args:
        vocabulary: the tokens, by id.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        import cudf  # only where a GPU is
        from cudf.core.character_normalizer import CharacterNormalizer
        from cudf.core.wordpiece_tokenize import WordPieceVocabulary

        self._series = cudf.Series
        self._normalizer = CharacterNormalizer(do_lower=True)
        self._vocabulary = WordPieceVocabulary(cudf.Series(vocabulary))

    def normalize(self, texts: Sequence[str]) -> list[str]:
        normalized: list[str] = self._normalizer.normalize(self._series(list(texts))).to_arrow().to_pylist()
        return normalized

    def tokenize(self, texts: Sequence[str]) -> tuple[Array, Array]:
        ids = self._vocabulary.tokenize(self._normalizer.normalize(self._series(list(texts))))
        return ids.list.leaves.values, ids.list.len().values


@dataclass(frozen=True)
class Limits:
    """What `readability_triton.stages.tokens` does after WordPiece.

    Attributes:
        first: the id of the token before each text.
        last: the id of the token after each text.
        length: tokens a row at most, both included.
    """

    first: int
    last: int
    length: int


class DeviceTokenizer:
    """The ids and masks of `readability_triton.stages.tokens.tokenize`, made where the arrays of `xp` lie.

    Args:
        tokenizer: Hugging Face's, whose answers are right by definition.
        wordpiece: the device's.
        xp: the array module, CuPy or NumPy.
        on_host_rows: called with the number of rows left to `tokenizer`, each time that some are.
    """

    def __init__(
        self, tokenizer: Tokenizer, wordpiece: WordPiece, xp: Any, on_host_rows: Callable[[int], None] = lambda _: None
    ) -> None:
        self._tokenizer, self._wordpiece, self._xp, self._on_host_rows = tokenizer, wordpiece, xp, on_host_rows
        self._limits = _limits(tokenizer)
        self._odd = xp.asarray(odd_characters(tokenizer, wordpiece))
        self._spaces = xp.asarray(tables().classes & SPACE) > 0
        self._special = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())

    def tokenize(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Ids and attention mask of `texts`: two INT64 [B, L], padded with 0 at the right to a common L."""
        xp = self._xp
        if not texts:
            return xp.zeros((0, 0), xp.int64), xp.zeros((0, 0), xp.int64)
        ids, mask = assemble(*self._wordpiece.tokenize(texts), self._limits, xp)
        rows = self.rows_for_host(texts)
        if len(rows):
            right = reference.tokenize([texts[row] for row in rows], self._tokenizer)
            for array, values in zip((ids, mask), right, strict=True):
                array[xp.asarray(rows)] = xp.asarray(_widened(values, array.shape[1]))
            self._on_host_rows(len(rows))
        return ids, mask

    def rows_for_host(self, texts: Sequence[str]) -> NDArray[np.intp]:
        """The rows that the device may read otherwise than Hugging Face's tokenizer: INTP."""
        characters = as_characters(texts, self._xp)
        odd = characters.per_row(self._odd[characters.codes]) > 0
        odd = odd | (characters.per_row(self._ends_of_long_words(characters)) > 0)
        special = [any(token in text for token in self._special) for text in texts]
        return np.flatnonzero(to_host(odd) | np.array(special))

    def _ends_of_long_words(self, characters: Characters) -> Array:
        """Where a run without white space ends that may be longer than both tokenizers read: BOOL [N]."""
        xp, codes = self._xp, characters.codes
        between = self._spaces[codes] | (codes == ROW_END)
        size = xp.where(between, 0, xp.where(codes < 128, 1, MOST_BYTES))
        places = xp.flatnonzero(between)
        before = running_sum(size, xp)[places]
        long = xp.zeros(len(codes), bool)
        long[places] = before - xp.concatenate([xp.zeros(1, before.dtype), before[:-1]]) > LONGEST_WORD
        return long


def assemble(ids: Array, lengths: Array, limits: Limits, xp: Any) -> tuple[Array, Array]:
    """Ids and mask, two INT64 [B, L], from the ids of all rows one after another, without a loop over rows.

    L is the longest that a row may become, rounded up as `readability_triton.stages.tokens` does: known without
    asking the device.

    Args:
        ids: INT32 [N].
        lengths: INT32 [B].
        limits: the tokens around each row, and how many there may be.
        xp: the array module.
    """
    step = reference.PAD_TO_MULTIPLE_OF
    width = -(-limits.length // step) * step
    taken = xp.minimum(lengths.astype(xp.int64), limits.length - 2)[:, None]
    starts = running_sum(lengths.astype(xp.int64), xp)[:-1, None]
    column = xp.arange(width)[None, :]
    padded = xp.concatenate([ids.astype(xp.int64), xp.zeros(1, xp.int64)])
    inside = (column >= 1) & (column <= taken)
    rows = padded[xp.where(inside, starts + column - 1, len(ids))]
    rows = xp.where(column == 0, limits.first, xp.where(column == taken + 1, limits.last, rows))
    return rows, (column < taken + 2).astype(xp.int64)


def odd_characters(tokenizer: Tokenizer, wordpiece: WordPiece) -> NDArray[np.bool_]:
    """The characters that both do not treat alike, between two letters, or that were not tried: BOOL [0x110001].

    Neither looks further than one character, but for the order of marks on a letter, which are odd if they stay there.
    """
    codes = np.array([code for code in range(1, MEASURED) if code not in SURROGATES])
    texts = [f"a{chr(code)}b" for code in codes]
    right = [_words(tokenizer, text) for text in texts]
    # By U+0020 only, as cuDF's tokenizer does: what else counts as white space stays within a word there.
    given = [[word for word in text.split(" ") if word] for text in wordpiece.normalize(texts)]
    same = [words == others for words, others in zip(right, given, strict=True)]
    stays = [unicodedata.combining(chr(code)) > 0 and words != ["ab"] for code, words in zip(codes, right, strict=True)]
    odd = np.ones(ROW_END + 1, bool)
    odd[codes] = ~np.array(same) | np.array(stays)
    odd[ROW_END] = False
    return odd


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


def _limits(tokenizer: Tokenizer) -> Limits:
    first, last = tokenizer.encode("").ids
    assert tokenizer.truncation is not None
    return Limits(first, last, int(tokenizer.truncation["max_length"]))


def vocabulary_of(tokenizer: Tokenizer) -> list[str]:
    """The tokens by id."""
    by_id = {number: token for token, number in tokenizer.get_vocab().items()}
    return [by_id[number] for number in range(len(by_id))]


def _widened(values: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))
