"""WordPiece ids as Hugging Face gives them, in arrays that batch well."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from readability_triton.stages.tokens import load_tokenizer, tokenize

quick = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return load_tokenizer(tokenizer_file)


@pytest.fixture(scope="module")
def truth(packaged_tokenizer: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(packaged_tokenizer)


def expected_ids(truth: PreTrainedTokenizerBase, text: str) -> list[int]:
    return truth(text, truncation=True, max_length=512).input_ids


def real_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids, mask = tokenize([text], tokenizer)
    return ids[mask == 1].tolist()


def test_odd_text_gets_the_ids_of_hugging_face(tokenizer, truth, odd_text: str) -> None:
    assert real_ids(tokenizer, odd_text) == expected_ids(truth, odd_text)


@quick
@given(st.text(max_size=80))
def test_any_text_gets_the_ids_of_hugging_face(tokenizer, truth, text: str) -> None:
    assert real_ids(tokenizer, text) == expected_ids(truth, text)


@quick
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_a_batch_is_its_texts_one_by_one(tokenizer, truth, texts: list[str]) -> None:
    ids, mask = tokenize(texts, tokenizer)
    for row, text in enumerate(texts):
        assert ids[row][mask[row] == 1].tolist() == expected_ids(truth, text)


@quick
@given(st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_rows_are_padded_with_noughts_to_512(tokenizer: Tokenizer, lengths: list[int]) -> None:
    ids, mask = tokenize(["rain " * length for length in lengths], tokenizer)
    with_special = [length + 2 for length in lengths]
    width = 512
    assert (ids.dtype, mask.dtype) == (np.int64, np.int64)
    assert ids.shape == mask.shape == (len(lengths), width)
    assert mask.tolist() == [[1] * length + [0] * (width - length) for length in with_special]
    assert not ids[mask == 0].any()
    assert ids[mask == 1].all()


@pytest.mark.parametrize(("n_words", "width"), [(1, 512), (30, 512), (510, 512), (511, 512), (900, 512)])
def test_every_text_has_the_same_padded_length(tokenizer: Tokenizer, n_words: int, width: int) -> None:
    ids, _ = tokenize(["rain " * n_words], tokenizer)
    assert ids.shape == (1, width)


def test_a_long_text_is_cut_after_512_tokens_and_still_ends_in_a_separator(tokenizer, truth) -> None:
    text = "it rained and rained " * 400
    ids, mask = tokenize([text], tokenizer)
    assert ids.shape == (1, 512)
    assert mask.all()
    assert ids[0].tolist() == expected_ids(truth, text)
    assert ids[0, -1] == truth.sep_token_id


def test_a_long_neighbour_cuts_nothing_from_a_short_text(tokenizer, truth) -> None:
    ids, mask = tokenize(["rain " * 900, "It rained."], tokenizer)
    assert ids[1][mask[1] == 1].tolist() == expected_ids(truth, "It rained.")


def test_no_texts_have_no_rows(tokenizer: Tokenizer) -> None:
    ids, mask = tokenize([], tokenizer)
    assert ids.shape == mask.shape == (0, 0)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("content", ["", "{}", '{"model": {"type": "none"}}'])
def test_a_malformed_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(Exception, match=r"line 1|Model missing|EOF"):
        load_tokenizer(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("spoil", [Tokenizer.enable_padding, Tokenizer.no_truncation], ids=["pads", "does not cut"])
def test_a_tokenizer_that_would_spoil_the_shapes_is_refused(tokenizer_file: Path, tmp_path: Path, spoil) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    spoil(tokenizer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match=r"tokenizer\.json must truncate and must not pad"):
        load_tokenizer(tmp_path / "tokenizer.json")
