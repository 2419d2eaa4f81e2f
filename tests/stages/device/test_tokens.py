"""Ids and masks made by arrays of NumPy and of a stand-in for CuPy; that for cuDF errs where cuDF does, and more."""

import csv
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece as Model

from readability_triton.cli.samples import sample_passages
from readability_triton.stages import tokens as reference
from readability_triton.stages.arrays import Array, to_host
from readability_triton.stages.device.tokens import DeviceTokenizer, Limits, assemble, vocabulary_of

pytestmark = pytest.mark.slow

PASSAGES = list(sample_passages().values())
CLEAR = Path(__file__).parents[4] / "shared" / "clear" / "train.csv"
ERRS = {"ß": "ss", "东": "", "\u0301": "\u0301", "½": "1/2"}
"""Characters that the stand-in reads in a way of its own."""


class StandIn:
    """As cuDF is by its sources (25.12): a table of characters, no special tokens, words of up to 199 bytes."""

    def __init__(self, tokenizer: Tokenizer, xp: Any = np) -> None:
        self._tokenizer, self._xp = tokenizer, xp
        self._model = Model(tokenizer.get_vocab(), unk_token="[UNK]", max_input_chars_per_word=199)

    def normalize(self, texts: Sequence[str]) -> list[str]:
        return [" ".join(self._words(text)) for text in texts]

    def tokenize(self, texts: Sequence[str]) -> tuple[Array, Array]:
        rows = [[token.id for word in self._words(text) for token in self._model.tokenize(word)] for text in texts]
        ids, lengths = list(chain.from_iterable(rows)), [len(row) for row in rows]
        return self._xp.asarray(np.array(ids, np.int32)), self._xp.asarray(np.array(lengths, np.int32))

    def _words(self, text: str) -> list[str]:
        cleaned = "".join(ERRS.get(character) or self._cleaned(character) for character in text)
        return [word for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(cleaned)]

    def _cleaned(self, character: str) -> str:
        return "" if character in ERRS else self._tokenizer.normalizer.normalize_str(character)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return reference.load_tokenizer(tokenizer_file)


@pytest.fixture(scope="module")
def device(tokenizer: Tokenizer, xp: Any) -> DeviceTokenizer:
    return DeviceTokenizer(tokenizer, StandIn(tokenizer, xp), xp)


def assert_right(device: DeviceTokenizer, tokenizer: Tokenizer, texts: list[str]) -> None:
    for made, right in zip(device.tokenize(texts), reference.tokenize(texts, tokenizer), strict=True):
        assert made.dtype == np.int64
        np.testing.assert_array_equal(to_host(made), right)


@given(
    st.lists(
        st.one_of(st.text(max_size=60), st.text(st.sampled_from("aß东é\u0301½ .-[CLS]")), st.sampled_from(PASSAGES))
    )
)
def test_any_texts_get_the_ids_of_hugging_face(device: DeviceTokenizer, tokenizer: Tokenizer, texts: list[str]) -> None:
    assert_right(device, tokenizer, texts)


def test_odd_text_gets_the_ids_of_hugging_face(device: DeviceTokenizer, tokenizer: Tokenizer, odd_text: str) -> None:
    assert_right(device, tokenizer, ["It rained.", odd_text, "It rained."])


@pytest.mark.parametrize("length", [99, 100, 101, 150, 199, 200, 201])
@pytest.mark.parametrize("letter", ["q", "é", "한", "東"])
def test_long_words_get_the_ids_of_hugging_face(
    device: DeviceTokenizer, tokenizer: Tokenizer, letter: str, length: int
) -> None:
    assert_right(device, tokenizer, [f"a {letter * length} b", letter * length])


@pytest.mark.parametrize("n_words", [509, 510, 511, 2000])
def test_long_texts_are_cut_as_hugging_face_does(device: DeviceTokenizer, tokenizer: Tokenizer, n_words: int) -> None:
    assert_right(device, tokenizer, ["rain " * n_words, "rain"])


def test_white_space_that_stays_within_a_word_is_odd(tokenizer: Tokenizer) -> None:
    class Keeps(StandIn):
        """Leaves a no-break space in place, which is no space to cuDF's tokenizer."""

        def normalize(self, texts: Sequence[str]) -> list[str]:
            return [
                text if "\u00a0" in text else given for text, given in zip(texts, super().normalize(texts), strict=True)
            ]

    device = DeviceTokenizer(tokenizer, Keeps(tokenizer), np)
    assert device.rows_for_host(["no\u00a0break", "a break"]).tolist() == [0]
    assert not len(DeviceTokenizer(tokenizer, StandIn(tokenizer), np).rows_for_host(["no\u00a0break"]))


def test_plain_english_never_goes_to_the_host(device: DeviceTokenizer) -> None:
    assert not len(device.rows_for_host(PASSAGES))


def test_rows_that_do_are_counted(tokenizer: Tokenizer) -> None:
    reported: list[int] = []
    device = DeviceTokenizer(tokenizer, StandIn(tokenizer), np, reported.append)
    texts = ["It rained.", "Straße", "the [SEP] token", "x" * 101, "rain " * 600]
    assert device.rows_for_host(texts).tolist() == [1, 2, 3]
    device.tokenize(texts)
    device.tokenize(texts[:2])
    device.tokenize(texts[:1])
    assert reported == [3, 1]


def test_a_device_that_errs_everywhere_does_no_harm(tokenizer: Tokenizer) -> None:
    class Broken(StandIn):
        def normalize(self, texts: Sequence[str]) -> list[str]:
            return ["?"] * len(texts)

    assert_right(DeviceTokenizer(tokenizer, Broken(tokenizer), np), tokenizer, PASSAGES)


def test_tokens_are_listed_by_id(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_to_id(token) for token in vocabulary_of(tokenizer)] == list(range(30522))


@given(st.lists(st.lists(st.integers(1, 30_000), max_size=12), min_size=1, max_size=6), st.integers(2, 10))
def test_rows_are_put_together_without_a_loop(rows: list[list[int]], length: int) -> None:
    flat, lengths = np.array(list(chain.from_iterable(rows)), np.int32), np.array([len(row) for row in rows], np.int32)
    ids, mask = assemble(flat, lengths, Limits(101, 102, length), np)
    assert ids.shape == mask.shape == (len(rows), 512)
    for made, real, row in zip(ids, mask, rows, strict=True):
        right = [101, *row[: length - 2], 102]
        assert made.tolist() == right + [0] * (512 - len(right))
        assert real.tolist() == [1] * len(right) + [0] * (512 - len(right))


@pytest.mark.skipif(not CLEAR.exists(), reason="the training data is not here")
def test_every_training_excerpt_gets_the_ids_of_hugging_face(device: DeviceTokenizer, tokenizer: Tokenizer) -> None:
    with CLEAR.open(encoding="utf-8", newline="") as file:
        texts = [row["excerpt"] for row in csv.DictReader(file)][:200]
    assert_right(device, tokenizer, texts)
