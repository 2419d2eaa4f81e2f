import pytest

from readability_triton.stages.cefr import LevelLine

LINE = LevelLine(2.0, -1.0, 0.5)


@pytest.mark.parametrize(
    ("score", "level", "name"),
    [(0.0, 2.0, "A2"), (0.49, 1.51, "A2"), (0.51, 1.49, "A1"), (9.0, 1.0, "A1"), (-2.0, 4.0, "B2"), (-9.0, 6.0, "C2")],
)
def test_a_score_has_the_nearest_level_within_the_framework(score, level, name):
    assert LINE.level(score) == pytest.approx(level)
    assert LINE.name(score) == name
