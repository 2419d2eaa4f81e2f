import numpy as np
import pytest

from readability_triton.stages.interval import IntervalTable

TABLE = IntervalTable(0.9, 500, [10], [[0.0], []], [[-1.0, -2.0], [-3.0]], [[1.0, 2.0], [3.0]])


@pytest.mark.parametrize(
    ("score", "words", "low", "high"),
    [(-0.5, 3, -1.5, 0.5), (0.0, 9, -2.0, 2.0), (0.5, 9, -1.5, 2.5), (0.5, 10, -2.5, 3.5), (-9.0, 500, -12.0, -6.0)],
)
def test_a_texts_interval_is_that_of_its_length_and_score(score, words, low, high):
    ends = TABLE.interval(np.array([score]), np.array([words]))
    np.testing.assert_allclose(np.concatenate(ends), [low, high])


def test_texts_of_all_bands_keep_their_order():
    scores, words = np.array([1.0, -1.0, 2.0]), np.array([5, 50, 5])
    low, high = TABLE.interval(scores, words)
    np.testing.assert_allclose(low, [-1.0, -4.0, 0.0])
    np.testing.assert_allclose(high, [3.0, 2.0, 4.0])


@pytest.mark.parametrize("words", [0, 501, 100_000])
def test_nothing_is_known_of_texts_without_a_word_or_longer_than_any_calibrated_on(words):
    low, high = TABLE.interval(np.array([0.5, 0.5]), np.array([words, 9]))
    np.testing.assert_allclose(low, [np.nan, -1.5])
    np.testing.assert_allclose(high, [np.nan, 2.5])


def test_no_texts_have_no_intervals():
    assert [len(each) for each in TABLE.interval(np.empty(0), np.empty(0, int))] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((1.0, 9, [], [[]], [[0.0]], [[0.0]]), "level 1.0 is not between"),
        ((0.9, 9, [10], [[]], [[0.0]], [[0.0]]), "every band of words"),
        ((0.9, 9, [], [[0.0]], [[0.0]], [[0.0]]), "every band of scores"),
        ((0.9, 9, [20, 10], [[]] * 3, [[0.0]] * 3, [[0.0]] * 3), r"edges \[20, 10\] do not rise"),
    ],
)
def test_a_table_whose_parts_do_not_fit_is_refused(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        IntervalTable(*arguments)


def test_a_table_comes_back_from_its_text():
    again = IntervalTable.from_text(TABLE.to_text())
    assert again == TABLE
    assert "\n" not in TABLE.to_text()


@pytest.mark.parametrize("text", ["{", "[1]", '{"level":0.9}', '{"level":0.9,"other":1}'])
def test_a_text_that_is_no_table_is_refused(text):
    with pytest.raises(ValueError, match="not an interval table"):
        IntervalTable.from_text(text)
