import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.stages.sentences import count_sentences
from readability_triton.stages.text import words
from readability_triton.training.yardsticks.sensitivity import RARER, join_sentences, put_rarer_words, sensitivity


def test_every_two_sentences_become_one():
    text = "The fox ran. It was late! “Where to?” Nobody knew. They slept."
    assert join_sentences(text) == "The fox ran, and it was late! “Where to”, and nobody knew. They slept."


@given(st.integers(4, 12))
def test_joining_halves_the_number_of_sentences_and_keeps_the_words(n):
    text = " ".join(f"Word{number} goes on." for number in range(n))
    joined = join_sentences(text)
    assert count_sentences(joined) == (n + 1) // 2
    assert [word for word in words(joined) if word != "and"] == words(text)


def test_a_text_of_few_sentences_is_left_alone():
    assert join_sentences("One. Two. Three.") == "One. Two. Three."


def test_common_words_become_rarer_ones():
    text = "Help me find a big house. Many people use it. The user helps."
    assert put_rarer_words(text) == (
        "Assist me find a substantial residence. Numerous people utilise it. The user helps."
    )


def test_a_text_with_few_common_words_is_left_alone():
    assert put_rarer_words("A big house stands there.") == "A big house stands there."


def test_rarer_words_are_longer_and_common_to_no_pair():
    assert all(len(rare) > len(common) for common, rare in RARER.items())
    assert not set(RARER) & set(RARER.values())
    assert all(re.fullmatch("[a-z]+", word) for pair in RARER.items() for word in pair)


def test_a_scorer_that_counts_letters_a_word_sees_rarer_words_and_only_texts_that_change_count():
    texts = ["Help me find a big house. Many people use it.", "Nothing here."]

    def score(given_texts):
        return np.array([[-len("".join(words(text))) / len(words(text)) for text in given_texts]])

    figures = {figure.name: figure for figure in sensitivity(texts, score)}
    assert list(figures) == ["rarer words: share that scores lower", "rarer words: mean fall of the score"]
    share, fall = figures.values()
    assert (share.n, share.values.tolist()) == (1, [1.0])
    assert fall.values[0] == pytest.approx((score(texts) - score([put_rarer_words(text) for text in texts]))[0, 0])
