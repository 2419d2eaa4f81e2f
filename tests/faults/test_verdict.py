"""An answer is right only if it is, degraded only if it says so and is one model's own, and wrong otherwise."""

import numpy as np
import pytest

from readability_triton.client.errors import InvalidRequestError, ModelUnavailableError, ServerBusyError
from readability_triton.client.scores import Details, Scores
from readability_triton.faults.traffic import FALLBACK, NO_ENCODER, PARALLEL, Asked, Flow
from readability_triton.faults.truth import Truth
from readability_triton.faults.verdict import Kind, judge_error, judge_scores

ROWS = np.array([0, 2, 1], dtype=np.intp)
WEIGHTS = np.array([0.5, 0.25, 1.0], dtype=np.float32)
BLENDED = [0.5, 2.375, -2.0]


def asked(flow: Flow = PARALLEL[0]) -> Asked:
    return Asked(flow, ROWS, WEIGHTS)


def scores(values: list[float], routes: list[str] | None = None, degraded: list[bool] | None = None) -> Scores:
    array = np.array(values, dtype=np.float32)
    details = routes and Details(array, array, tuple(routes), np.array(degraded))
    no_intervals = np.full((len(values), 2), np.nan, np.float32)
    return Scores(array, ("bls_pipeline",) * len(values), no_intervals, (None,) * len(values), details or None)


def test_the_blended_scores_are_right(truth: Truth) -> None:
    assert judge_scores(asked(), scores(BLENDED), truth).kind is Kind.RIGHT


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("off", [1e-3, -1.0, float("nan"), float("inf")])
def test_a_score_that_is_off_is_wrong_and_named(truth: Truth, row: int, off: float) -> None:
    values = [value + off * (at == row) if at == row else value for at, value in enumerate(BLENDED)]
    verdict = judge_scores(asked(), scores(values), truth)
    assert verdict.kind is Kind.WRONG
    assert f"row {row} of 3" in verdict.note


def test_scores_in_another_order_or_number_are_wrong(truth: Truth) -> None:
    assert judge_scores(asked(), scores(BLENDED[::-1]), truth).kind is Kind.WRONG
    assert judge_scores(asked(), scores(BLENDED[:2]), truth).kind is Kind.WRONG


def test_a_degraded_score_is_the_own_score_of_the_model_that_its_route_names(truth: Truth) -> None:
    routes, flags = ["cuml", "bert-large", "bert-large+cuml"], [True, True, False]
    good = scores([0.0, 0.5, -2.0], routes, flags)
    assert judge_scores(asked(FALLBACK), good, truth).kind is Kind.DEGRADED
    swapped = scores([1.0, 3.0, -2.0], routes, flags)
    assert judge_scores(asked(FALLBACK), swapped, truth).kind is Kind.WRONG


def test_a_degraded_score_without_the_flag_is_wrong(truth: Truth) -> None:
    unflagged = scores([0.0, 2.375, -2.0], ["cuml"] * 3, [False] * 3)
    assert judge_scores(asked(FALLBACK), unflagged, truth).kind is Kind.WRONG


def test_a_policy_that_may_not_degrade_does_wrong_if_it_does(truth: Truth) -> None:
    flagged = scores([0.0, 2.375, -2.0], ["cuml", "bert-large+cuml", "bert-large+cuml"], [True, False, False])
    assert judge_scores(asked(PARALLEL[2]), flagged, truth).kind is Kind.WRONG


def test_without_the_encoder_a_row_of_weight_0_is_right_and_any_other_degraded(truth: Truth) -> None:
    forests = [0.0, 3.0, -1.0]
    of_weight_0 = Asked(NO_ENCODER, ROWS, np.zeros(3, dtype=np.float32))
    assert judge_scores(of_weight_0, scores(forests, ["cuml"] * 3, [False] * 3), truth).kind is Kind.RIGHT
    assert judge_scores(asked(NO_ENCODER), scores(forests, ["cuml"] * 3, [True] * 3), truth).kind is Kind.DEGRADED
    assert judge_scores(asked(NO_ENCODER), scores(forests, ["cuml"] * 3, [False] * 3), truth).kind is Kind.WRONG


@pytest.mark.parametrize("error", [ModelUnavailableError("down"), ServerBusyError("full")])
def test_an_error_of_the_clients_own_is_clear(error: Exception) -> None:
    assert judge_error(error, 1.0, 40.0) == (Kind.ERROR, type(error).__name__)


def test_a_good_request_must_not_be_refused_and_other_exceptions_must_not_get_out() -> None:
    assert judge_error(InvalidRequestError("row 0: text is empty", 0), 1.0, 40.0).kind is Kind.WRONG
    assert judge_error(KeyError("SCORE"), 1.0, 40.0).kind is Kind.WRONG


def test_who_waits_to_the_end_was_not_answered() -> None:
    assert judge_error(ModelUnavailableError("down"), 40.0, 40.0).kind is Kind.UNANSWERED
