import numpy as np
import pytest

from readability_triton.training.level_line import fit_level_line


def test_the_line_and_its_error_are_found():
    rng = np.random.default_rng(0)
    scores = rng.uniform(-3, 1, 4000)
    line = fit_level_line(scores, 2 - scores + rng.normal(0, 0.3, 4000))
    assert (line.start, line.slope) == pytest.approx((2, -1), abs=0.03)
    assert line.error == pytest.approx(0.3, abs=0.03)


def test_the_error_is_that_of_texts_that_were_not_fitted_on():
    scores, levels = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 1.0, 2.0])
    assert fit_level_line(scores, levels).error > np.sqrt(np.square(levels - levels.mean()).mean())


@pytest.mark.parametrize("scores", [[1.0, 2.0, 3.0], [1.0] * 9])
def test_too_few_texts_are_refused(scores):
    with pytest.raises(ValueError, match="at least four texts"):
        fit_level_line(np.array(scores), np.arange(float(len(scores))))
