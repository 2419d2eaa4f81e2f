import pytest
from scipy.stats import spearmanr

from readability_triton.cli.samples import sample_passages
from readability_triton.stages.sentences import count_sentences
from readability_triton.stages.text import words


def readability_index(text: str) -> float:
    """The Automated Readability Index: letters a word and words a sentence, higher is harder."""
    found = words(text)
    return 4.71 * sum(map(len, found)) / len(found) + 0.5 * len(found) / count_sentences(text)


def test_there_are_ten_in_the_order_of_their_names():
    names = list(sample_passages())
    assert len(names) == 10
    assert [int(name.partition("-")[0]) for name in names] == list(range(1, 11))


def test_they_are_easiest_first_by_a_formula_that_knows_nothing_of_the_models():
    indexes = [readability_index(text) for text in sample_passages().values()]
    assert spearmanr(range(10), indexes).statistic > 0.9


@pytest.mark.parametrize("name", sample_passages())
def test_each_is_about_as_long_as_a_training_excerpt(name):
    assert 90 <= len(words(sample_passages()[name])) <= 200


def test_no_two_are_alike():
    assert len(set(sample_passages().values())) == 10
