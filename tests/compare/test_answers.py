import numpy as np
import pytest

from readability_triton.compare.answers import Answers, agreement, difference


def answers(*scores: float) -> Answers:
    arm = Answers()
    for request, score in enumerate(scores):
        arm.note(request, {"SCORE": np.array([[score]], np.float32)})
    return arm


def test_equal_answers_agree():
    found = agreement(answers(1.0, 2.0), answers(1.0, 2.0), 0.0)
    assert found.same
    assert found.compared == 2


def test_the_request_with_the_largest_difference_is_named():
    found = agreement(answers(1.0, 2.0, 3.0), answers(1.0, 2.5, 3.1), 1e-5)
    assert not found.same
    assert found.where == 1
    assert found.largest == pytest.approx(0.5)


def test_only_requests_that_both_answered_are_compared_and_none_is_no_agreement():
    assert agreement(answers(1.0, 2.0), answers(1.0), 0.0).compared == 1
    assert not agreement(answers(), answers(1.0), 0.0).same


def test_an_arm_that_contradicts_itself_does_not_agree():
    arm = answers(1.0)
    arm.note(0, {"SCORE": np.array([[1.5]], np.float32)})
    assert agreement(arm, answers(1.0), 0.1).largest == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"A": [1.0]}, {"A": [1.0, 1.0]}, np.inf),
        ({"A": [np.nan]}, {"A": [np.nan]}, 0.0),
        ({"A": [np.nan]}, {"A": [1.0]}, np.inf),
        ({"A": [np.inf]}, {"A": [np.inf]}, 0.0),
        ({"A": [1.0]}, {"B": [1.25]}, 0.25),
        ({"A": [1.0], "B": [2.0]}, {"A": [1.0], "C": [9.0]}, 0.0),
        ({"A": [1.0], "B": [2.0]}, {"C": [1.0], "D": [9.0]}, np.inf),
        ({"A": []}, {"A": []}, 0.0),
        ({"A": [True]}, {"A": [False]}, 1.0),
    ],
)
def test_outputs_are_compared_by_name_and_number_by_number(one, other, expected):
    first, second = ({name: np.array(values) for name, values in each.items()} for each in (one, other))
    assert difference(first, second) == expected


def test_strings_are_equal_or_not():
    one, other = np.array([b"a"], object), np.array([b"b"], object)
    assert difference({"A": one}, {"A": one.copy()}) == 0
    assert difference({"A": one}, {"A": other}) == np.inf
