from pathlib import Path

import pytest

from readability_triton.training.multitask.recipe import DEFAULT_RECIPE, MultitaskRecipe, read_recipe
from readability_triton.training.multitask.stacked_encoder import Layers

SHORT = """
seeds = 2
[student.layers]
last = 3
frozen = 1
pooled = [2, 3]
[student.fit]
steps = 6
learning_rate = 1
[student.fit.sizes]
rows = 4
[teacher.layers]
last = 2
frozen = 0
pooled = [1, 2]
[teacher.fit]
steps = 4
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recipe_holds_what_the_file_says_and_defaults_for_the_rest(tmp_path):
    recipe = read_recipe(written(tmp_path / "recipe.toml", SHORT))
    assert recipe.student.layers == Layers(3, 1, (2, 3))
    assert (recipe.seeds, recipe.student.fit.steps, recipe.student.fit.learning_rate) == (2, 6, 1.0)
    assert (recipe.student.fit.sizes.rows, recipe.student.fit.sizes.runs) == (4, MultitaskRecipe().sizes.runs)
    assert recipe.teacher.fit.weights == MultitaskRecipe().weights


def test_the_recipe_of_the_project_fits_its_encoders():
    recipe = read_recipe(DEFAULT_RECIPE)
    assert recipe.student.layers.last == 6
    assert recipe.teacher.fit.label_share == 0.0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("steps = 6", "step = 6", "unknown key student.fit.step; known are steps, "),
        ("steps = 6", "steps = 6.5", "student.fit.steps = 6.5 is not of type int"),
        ("rows = 4", 'rows = "4"', "student.fit.sizes.rows = '4' is not of type int"),
        ("pooled = [2, 3]", "pooled = [2, 4]", "must lie above the 1 frozen ones, 3 at most"),
        ("pooled = [2, 3]", 'pooled = ["2"]', "student.layers.pooled = "),
        ("last = 3\n", "", "student.layers."),
        ("seeds = 2", "seeds = 0", "at least one student"),
        ("seeds = 2", "seeds = = 2", "recipe.toml: "),
    ],
    ids=str,
)
def test_a_mistake_is_named_with_its_place(tmp_path, before, after, message):
    path = written(tmp_path / "recipe.toml", SHORT.replace(before, after))
    with pytest.raises(ValueError, match=r"recipe\.toml: ") as caught:
        read_recipe(path)
    assert message in str(caught.value)
