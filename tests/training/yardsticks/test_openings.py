import numpy as np
import pytest

from readability_triton.training.corpus import Corpus
from readability_triton.training.yardsticks.openings import error_by_sentences, opening

TEXT = "  Mr. Fox ran. He stopped! Why? He was tired.  "


@pytest.mark.parametrize(
    ("n_sentences", "expected"),
    [
        (1, "Mr. Fox ran."),
        (2, "Mr. Fox ran. He stopped!"),
        (4, "Mr. Fox ran. He stopped! Why? He was tired."),
        (9, "Mr. Fox ran. He stopped! Why? He was tired."),
    ],
)
def test_an_opening_is_whole_sentences(n_sentences, expected):
    assert opening(TEXT, n_sentences) == expected


def test_a_text_without_a_sentence_is_its_own_opening():
    assert opening("---", 2) == "---"


def test_the_error_is_that_of_the_opening_against_the_whole_texts_score():
    corpus = Corpus(["One. Two three.", "Four."], np.array([1.0, 2.0]), ["a", "b"])

    def count_words(texts):
        return np.array([[float(len(text.split())) for text in texts], [1.0, 2.0]])

    first, second = error_by_sentences(corpus, count_words, (1, 2))
    assert (first.name, second.name, first.n) == ("RMSE, first 1 sentence", "RMSE, first 2 sentences", 2)
    np.testing.assert_allclose(first.values, [np.sqrt(0.5), 0])
    np.testing.assert_allclose(second.values, [np.sqrt((4 + 1) / 2), 0])
