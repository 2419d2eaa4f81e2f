"""The gate lets every text through that can be scored, and names the first that cannot."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.stages.errors import InvalidRowError
from readability_triton.stages.excerpts import decode

NOT_UTF_8 = {
    "Latin-1": (b"caf\xe9 au lait", "invalid continuation byte at byte 3"),
    "byte that never occurs": (b"\xff", "invalid start byte at byte 0"),
    "cut short": ("né".encode()[:-1], "unexpected end of data at byte 1"),
    "half of a surrogate pair": (b"\xed\xa0\x80", "invalid continuation byte at byte 0"),
    "overlong slash": (b"a\xc0\xaf", "invalid start byte at byte 1"),
}
WHITE_SPACE = {"space": " ", "line feeds": "\r\n\n", "tab": "\t", "no-break space": "\u00a0", "em space": "\u2003"}
quick = settings(deadline=None, max_examples=100)
scorable = st.text(max_size=30).filter(str.strip)


def is_not_utf_8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False


@quick
@given(st.lists(scorable, max_size=5))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    assert decode([text.encode() for text in texts]) == texts


@quick
@given(st.lists(scorable, max_size=5))
def test_texts_that_are_decoded_already_stay(texts: list[str]) -> None:
    assert decode(texts) == texts


def test_white_space_around_a_text_stays() -> None:
    assert decode([b" \tIt rained.\n"]) == [" \tIt rained.\n"]


@pytest.mark.parametrize(("value", "reason"), NOT_UTF_8.values(), ids=NOT_UTF_8.keys())
def test_bytes_that_are_not_utf_8_are_refused_with_their_place(value: bytes, reason: str) -> None:
    with pytest.raises(InvalidRowError) as caught:
        decode([value])
    assert str(caught.value) == f"row 0: text is not UTF-8: {reason}"


@quick
@given(st.binary(max_size=10).filter(is_not_utf_8))
def test_nothing_that_is_not_utf_8_passes(value: bytes) -> None:
    with pytest.raises(InvalidRowError, match=r"row 0: text is not UTF-8: .* at byte"):
        decode([value])


@pytest.mark.parametrize("value", [b"", ""], ids=["bytes", "str"])
def test_an_empty_text_is_refused(value: bytes | str) -> None:
    with pytest.raises(InvalidRowError, match=r"^row 0: text is empty$"):
        decode([value])


@pytest.mark.parametrize("value", WHITE_SPACE.values(), ids=WHITE_SPACE.keys())
def test_white_space_is_refused(value: str) -> None:
    with pytest.raises(InvalidRowError, match=r"^row 0: text holds only white space$"):
        decode([value.encode()])


def test_the_first_bad_row_is_named() -> None:
    with pytest.raises(InvalidRowError) as caught:
        decode([b"fine", "auch gut", b" ", b"", b"\xff"])
    assert (caught.value.row, caught.value.reason) == (2, "text holds only white space")


def test_marks_without_a_word_are_a_text() -> None:
    assert decode([b"?!"]) == ["?!"]
