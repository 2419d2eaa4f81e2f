import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.client.passages import LONGEST_EXCERPT, WORDS_PER_PASSAGE, Passage, cut
from readability_triton.stages.sentences import sentence_spans
from readability_triton.stages.text import words

LONGEST_SENTENCE = 40
NAMES = [
    f"{first}{second}" for first in "bdfgklmnprst" for second in ("an", "eek", "oil", "us", "ark", "it", "own", "y")
]


@st.composite
def documents(draw) -> str:
    """Sentences of up to 40 words, some in quotes, over lines and paragraphs."""
    rng = random.Random(draw(st.integers(0, 10**6)))
    document = ""
    for _ in range(draw(st.integers(1, 90))):
        words_of_one = " ".join(rng.choices(NAMES, k=rng.randint(1, LONGEST_SENTENCE)))
        ending = rng.choice((".", "!", "?", '."', "…", "?!"))
        document += words_of_one.capitalize() + ending + rng.choice((" ", "  ", "\n", "\n\n"))
    return document


def endless(n_words: int, between: str = " ") -> str:
    rng = random.Random(0)
    return between.join(rng.choices(NAMES, k=n_words))


def assert_sound(document: str, passages: list[Passage]) -> None:
    """What holds for every document."""
    assert all(document[each.start : each.end] == each.text for each in passages)
    assert all(each.words == len(words(each.text)) for each in passages)
    assert all(one.end <= other.start for one, other in itertools.pairwise(passages))
    assert [word for each in passages for word in words(each.text)] == words(document)


@given(st.text(max_size=60) | st.text(st.sampled_from("ab .!?…\"'\n\t—")))
def test_passages_of_any_text_are_in_order_and_hold_every_word(document):
    assert_sound(document, cut(document))


@given(documents())
def test_passages_of_sentences_are_in_order_hold_every_word_and_end_where_sentences_end(document):
    passages = cut(document)
    assert_sound(document, passages)
    assert all(each.text[-1] in '.!?…"' for each in passages)
    assert all(each.text[0].isupper() for each in passages)


@given(documents())
def test_passages_are_of_about_the_same_length_and_none_is_much_longer_than_an_excerpt(document):
    passages = cut(document)
    share = sum(each.words for each in passages) / len(passages)
    longest_sentence = max(len(words(document[start:end])) for start, end in sentence_spans(document))
    assert all(abs(each.words - share) <= longest_sentence for each in passages)
    assert len(passages) == 1 or share > LONGEST_EXCERPT / 2
    assert len(passages) == 1 or share <= WORDS_PER_PASSAGE


@given(documents(), st.integers(1, 12))
def test_sentences_without_a_word_make_no_passages_of_their_own(document, n_wordless):
    rng = random.Random(n_wordless)
    sentences = document.splitlines()
    for _ in range(n_wordless):
        sentences.insert(rng.randint(0, len(sentences)), rng.choice(("...", "?!", '"!"', "…")))
    interrupted = "\n".join(sentences)
    passages = cut(interrupted)
    assert_sound(interrupted, passages)
    assert all(each.words for each in passages)


@pytest.mark.parametrize("n_words", [1, 9, 180, LONGEST_EXCERPT])
def test_a_document_no_longer_than_an_excerpt_is_one_passage(n_words):
    document = f"  {endless(n_words).capitalize()}.\n"
    assert cut(document) == [Passage(2, len(document) - 1, document.strip(), n_words)]


@pytest.mark.parametrize("document", ["", "   ", "...", " ?! \n"])
def test_a_document_without_a_word_is_one_passage(document):
    (passage,) = cut(document)
    assert passage.text == document.strip()
    assert passage.words == 0


@pytest.mark.parametrize("n_words", [400, 1000, 3601])
@pytest.mark.parametrize("between", [" ", "\n", "\t", " \n", ", ", " — "], ids=repr)
def test_one_endless_sentence_is_cut_between_words(n_words, between):
    document = endless(n_words, between)
    passages = cut(document)
    assert_sound(document, passages)
    assert max(each.words for each in passages) <= 1.5 * WORDS_PER_PASSAGE


def test_an_endless_sentence_among_short_ones_is_cut_too():
    short = " ".join(f"{endless(8).capitalize()}." for _ in range(20))
    document = f"{short} {endless(900).capitalize()}. {short}"
    passages = cut(document)
    assert_sound(document, passages)
    assert max(each.words for each in passages) <= 1.5 * WORDS_PER_PASSAGE


@pytest.mark.parametrize("n_words", range(210, 280, 10))
def test_a_document_a_little_longer_than_an_excerpt_is_one_passage_or_two_halves(n_words):
    document = " ".join(f"{endless(10).capitalize()}." for _ in range(n_words // 10))
    passages = cut(document)
    assert len(passages) in (1, 2)
    assert abs(passages[0].words - passages[-1].words) <= 10


def test_no_word_at_all_is_lost_where_only_spaces_part_the_words():
    document = "word" + " " * 5000 + "word " * 500
    assert_sound(document, cut(document))
