import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.stages.sentences import sentence_spans
from readability_triton.training.halves import halves, with_halves

words = st.text(st.sampled_from("abcdé’ABC7,-"), min_size=1, max_size=8)
spaces = st.sampled_from([" ", "  ", "\n", "\n\n", "\t"])
sentences = st.lists(words, min_size=1, max_size=9).map(lambda chosen: "A " + " ".join(chosen) + "y.")
prose = st.lists(sentences, min_size=2, max_size=6).map(" ".join)


@st.composite
def any_text(draw) -> str:
    """Two words or more with any marks and white space between them, and white space around."""
    parts = draw(st.lists(st.tuples(words, st.sampled_from(["", ".", "!", "…”", "?!"]), spaces), min_size=2))
    around = st.sampled_from(["", " ", "\n", " " * 30])
    return draw(around) + "".join(map("".join, parts)).strip() + draw(around)


@given(any_text())
def test_joined_the_halves_are_the_words_of_the_text_in_their_order(text):
    first, second = halves(text)
    assert first.split() + second.split() == text.split()
    assert first
    assert second


@given(any_text())
def test_a_half_has_no_white_space_around_it(text):
    assert all(half == half.strip() for half in halves(text))


@given(prose)
def test_the_cut_is_at_a_sentence_end_where_there_is_one_and_no_other_is_nearer_to_the_middle(text):
    ends = [end for _, end in sentence_spans(text)][:-1]
    cut = len(halves(text)[0])
    assert cut in ends
    assert abs(cut - len(text) / 2) == min(abs(end - len(text) / 2) for end in ends)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. We went home.", ("It rained.", "We went home.")),
        ("It rained. It poured and it blew. We went home.", ("It rained. It poured and it blew.", "We went home.")),
        ("Mr. Hill went home with his dog.", ("Mr. Hill went home", "with his dog.")),
        ("one two", ("one", "two")),
        ("extraordinarily so", ("extraordinarily", "so")),
        ("  far away ", ("far", "away")),
        ("“Stop!” he said. Nobody did.", ("“Stop!” he said.", "Nobody did.")),
    ],
)
def test_texts_are_cut_where_a_reader_would_cut_them(text, expected):
    assert halves(text) == expected


@pytest.mark.parametrize("text", ["word", "word.", " word ", "“Word!”\n"])
def test_one_word_cannot_be_cut(text):
    with pytest.raises(ValueError, match="one word cannot be cut in two: "):
        halves(text)


def test_white_space_around_one_sentence_does_not_hide_that_it_has_two_words():
    assert halves("two words" + " " * 20) == ("two", "words")
    assert halves(" " * 20 + "two words") == ("two", "words")


def test_texts_stand_before_their_first_and_those_before_their_second_halves():
    texts = ["a b", "It rained. We went.", "c d"]
    assert with_halves(texts) == [*texts, "a", "It rained.", "c", "b", "We went.", "d"]


def test_one_word_among_texts_is_refused_with_what_it_is():
    with pytest.raises(ValueError, match="'Hm'"):
        with_halves(["a b", "Hm"])
