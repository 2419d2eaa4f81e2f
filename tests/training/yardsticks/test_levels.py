import numpy as np
import pytest

from readability_triton.training.yardsticks.levels import LevelledTexts, correlation_with_levels, read_levels
from readability_triton.training.yardsticks.table_file import YardstickError


def by_length(texts):
    return np.array([[-float(len(text)) for text in texts]])


def test_a_score_that_orders_the_levels_has_correlation_one_in_each_source():
    levelled = LevelledTexts(
        ["a", "bb", "ccc", "d", "ee", "fff"], np.array([1.0, 2, 3, 3, 2, 1]), ["x"] * 3 + ["y"] * 3
    )
    figures = correlation_with_levels(levelled, by_length)
    assert [(figure.name, figure.n) for figure in figures] == [
        ("rank correlation with levels, x", 3),
        ("rank correlation with levels, y", 3),
    ]
    np.testing.assert_allclose([figure.values[0] for figure in figures], [1, -1])


def test_two_texts_have_no_rank_correlation():
    (figure,) = correlation_with_levels(LevelledTexts(["a", "b"], np.array([1.0, 2]), ["x", "x"]), by_length)
    assert np.isnan(figure.values).all()


def test_equal_scores_have_no_rank_correlation():
    (figure,) = correlation_with_levels(LevelledTexts(["a", "b", "c"], np.array([1.0, 2, 3]), ["x"] * 3), by_length)
    assert np.isnan(figure.values).all()


def test_the_level_is_the_mean_of_two_judges(tmp_path):
    path = tmp_path / "levels.csv"
    path.write_text("source,sentence,level_a,level_b\nbooks,Go.,1,2\n,Stay here.,3,3\n")
    levelled = read_levels(path)
    assert levelled.texts == ["Go.", "Stay here."]
    assert levelled.levels.tolist() == [1.5, 3.0]
    assert levelled.sources == ["books", "levels.csv"]


def test_one_judge_is_enough(tmp_path):
    path = tmp_path / "levels.csv"
    path.write_text("sentence,level\nGo.,1\n")
    assert read_levels(path).levels.tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("text,level\na,1\n", "no column sentence"),
        ("sentence\na\n", "no column level"),
        ("sentence,level\na,B2\n", "row 1: level 'B2' is not a number"),
        ("sentence,level\na,1\nb,nan\n", "row 2: level 'nan' is not finite"),
        ("sentence,level\na,\n", "line 2: no level"),
        ("sentence,level\n", "no rows"),
    ],
)
def test_a_file_without_usable_levels_is_refused(tmp_path, text, reason):
    (tmp_path / "levels.csv").write_text(text)
    with pytest.raises(YardstickError, match=reason):
        read_levels(tmp_path / "levels.csv")
