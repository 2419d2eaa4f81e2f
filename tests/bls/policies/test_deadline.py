"""Policy `deadline`: an answer in time, from whichever scorer there is by then."""

import gc

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from readability_triton.bls.policies.deadline import GRACE_S, deadline
from readability_triton.bls.stages import StageError, StageLateError

BUDGET_MS, BUDGET_S = 200.0, 0.2
NEVER = 1e6
BERT, CUML, BOTH = [6, 8, 4], [65, 84, 82], [6, 84, 43]
WEIGHTS = (1, 0, 0.5)


def ask(stages, loop, batch, deadline_ms: float = BUDGET_MS):
    return loop.run(deadline(stages, batch, deadline_ms=deadline_ms))


def said(outcome) -> tuple[list[float], set[bytes], list[str]]:
    """Scores, routes and reasons."""
    return outcome.scores.ravel().tolist(), set(outcome.route.ravel()), outcome.reasons.ravel().tolist()


def test_both_in_time_are_blended(stages, loop, batch_of) -> None:
    stages.delays |= {"preprocess": 0.01, "bert-large": 0.18, "cuml": 0.17}
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome) == (BOTH, {b"bert-large+cuml"}, ["", "", ""])
    assert loop.seconds == pytest.approx(0.19)


def test_a_late_encoder_is_done_without_and_rows_that_did_not_want_it_are_as_asked_for(stages, loop, batch_of) -> None:
    stages.delays["bert-large"] = NEVER
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome) == (CUML, {b"cuml"}, ["bert-large late", "", "bert-large late"])
    assert np.isnan(outcome.bert).all()
    assert loop.seconds == pytest.approx(BUDGET_S)


def test_an_encoder_that_fails_is_done_without_at_once(stages, loop, batch_of) -> None:
    stages.fails["bert-large"] = 1
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome) == (CUML, {b"cuml"}, ["bert-large failed", "", "bert-large failed"])
    assert loop.seconds < BUDGET_S


def test_an_encoder_whose_queue_refused_the_call_as_too_old_is_late(stages, loop, batch_of, monkeypatch) -> None:
    async def bert(ids, mask):
        raise StageLateError("bert-large", "Request timeout expired")

    monkeypatch.setattr(stages, "bert", bert)
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome) == (CUML, {b"cuml"}, ["bert-large late", "", "bert-large late"])


@pytest.mark.parametrize(("cuml", "reason"), [("late", "cuml late"), ("fails", "cuml failed")])
def test_a_forest_that_is_not_there_is_done_without(stages, loop, batch_of, cuml: str, reason: str) -> None:
    stages.delays["cuml"] = NEVER if cuml == "late" else 0
    stages.fails["cuml"] = 0 if cuml == "late" else 1
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome) == (BERT, {b"bert-large"}, ["", reason, reason])
    assert np.isnan(outcome.cuml).all()
    assert loop.seconds <= BUDGET_S


def test_the_forest_gets_some_grace_where_there_is_nothing_else(stages, loop, batch_of) -> None:
    stages.delays |= {"bert-large": NEVER, "cuml": BUDGET_S + GRACE_S / 2}
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome)[:2] == (CUML, {b"cuml"})
    assert loop.seconds == pytest.approx(BUDGET_S + GRACE_S / 2)


def test_the_forest_gets_the_same_grace_where_the_encoder_failed(stages, loop, batch_of) -> None:
    stages.delays["cuml"] = BUDGET_S + GRACE_S / 2
    stages.fails["bert-large"] = 1
    outcome = ask(stages, loop, batch_of(*WEIGHTS))
    assert said(outcome) == (CUML, {b"cuml"}, ["bert-large failed", "", "bert-large failed"])


def test_when_neither_has_answered_by_then_that_is_said(stages, loop, batch_of) -> None:
    stages.delays |= {"bert-large": NEVER, "cuml": NEVER}
    with pytest.raises(StageLateError, match=r"^cuml: no answer in time$"):
        ask(stages, loop, batch_of(*WEIGHTS))
    assert loop.seconds == pytest.approx(BUDGET_S + GRACE_S)


def test_when_both_fail_that_is_said_at_once(stages, loop, batch_of) -> None:
    stages.fails |= {"bert-large": 1, "cuml": 1}
    with pytest.raises(StageError, match=r"^cuml: out of order$"):
        ask(stages, loop, batch_of(*WEIGHTS))
    assert loop.seconds < BUDGET_S


def test_preprocessing_that_is_late_is_said_in_time(stages, loop, batch_of) -> None:
    stages.delays["preprocess"] = NEVER
    with pytest.raises(StageLateError, match=r"^preprocess: no answer in time$"):
        ask(stages, loop, batch_of(*WEIGHTS))
    assert loop.seconds == pytest.approx(BUDGET_S + GRACE_S)
    assert stages.calls == [("preprocess", 3)]


def test_preprocessing_that_fails_is_said_at_once(stages, loop, batch_of) -> None:
    stages.fails["preprocess"] = 1
    with pytest.raises(StageError, match=r"^preprocess: out of order$"):
        ask(stages, loop, batch_of(*WEIGHTS))
    assert loop.seconds < BUDGET_S


def test_the_time_is_counted_from_the_requests_arrival(stages, loop, batch_of) -> None:
    stages.delays["bert-large"] = NEVER
    ask(stages, loop, batch_of(*WEIGHTS, waited_s=0.15))
    assert loop.seconds == pytest.approx(0.05)


@pytest.mark.parametrize("deadline_ms", [0.0, 0.001, 100.0])
def test_a_request_whose_time_is_up_is_the_forests_and_the_encoder_is_not_even_asked(
    stages, loop, batch_of, deadline_ms: float
) -> None:
    stages.delays |= {"preprocess": GRACE_S / 3, "cuml": GRACE_S / 3}
    outcome = ask(stages, loop, batch_of(*WEIGHTS, waited_s=deadline_ms / 1000), deadline_ms)
    assert said(outcome) == (CUML, {b"cuml"}, ["bert-large late", "", "bert-large late"])
    assert stages.asked("bert-large") == []


@pytest.mark.parametrize("late", ["bert-large", "cuml", "preprocess"])
def test_nobody_complains_of_what_a_call_that_was_given_up_says_later(stages, loop, batch_of, late: str) -> None:
    stages.delays[late] = 1.0
    stages.fails[late] = 1
    if late == "preprocess":
        with pytest.raises(StageLateError):
            ask(stages, loop, batch_of(*WEIGHTS))
    else:
        ask(stages, loop, batch_of(*WEIGHTS))
    loop.end_all()
    gc.collect()
    assert loop.complaints == []


def test_an_error_that_is_no_stages_own_is_not_taken_for_one(stages, loop, batch_of, monkeypatch) -> None:
    async def bert(ids, mask):
        raise MemoryError

    monkeypatch.setattr(stages, "bert", bert)
    with pytest.raises(MemoryError):
        ask(stages, loop, batch_of(*WEIGHTS))


ms = st.integers(0, 40).map(lambda tens: 10 * tens + 5)
tens_of_ms = st.integers(0, 30).map(lambda tens: 10 * tens)
scorers = st.sets(st.sampled_from(["bert-large", "cuml"]))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ms, ms | st.just(0), ms | st.just(0), tens_of_ms, tens_of_ms, scorers)
def test_whatever_the_stages_do_the_answer_comes_in_time_from_all_that_is_there(
    stages, loop, batch_of, preprocess, bert, cuml, budget, waited, failing
) -> None:
    end, last = budget - waited, max(0, budget - waited) + GRACE_S * 1000
    bert_ends, cuml_ends = preprocess + bert, preprocess + cuml
    assume(bert_ends != cuml_ends)
    assume(not {preprocess, bert_ends, cuml_ends} & {end, last})
    stages.delays |= {"preprocess": preprocess / 1000, "bert-large": bert / 1000, "cuml": cuml / 1000}
    stages.fails |= {"bert-large": 0, "cuml": 0} | dict.fromkeys(failing, 1)
    bert_answers, cuml_answers = preprocess < end and "bert-large" not in failing, "cuml" not in failing
    answered = end if bert_answers and bert_ends < end else min(max(end, cuml_ends), last)
    has_bert = bert_answers and bert_ends < answered
    has_cuml = cuml_answers and cuml_ends <= answered < last
    try:
        outcome = ask(stages, loop, batch_of(*WEIGHTS, waited_s=waited / 1000), float(budget))
    except StageError:
        assert not has_bert
        assert not has_cuml
    else:
        assert (not np.isnan(outcome.bert).any(), not np.isnan(outcome.cuml).any()) == (has_bert, has_cuml)
        truth = BOTH if has_bert and has_cuml else BERT if has_bert else CUML
        assert outcome.scores.ravel().tolist() == truth
        exact = truth == BOTH
        as_asked_for = [exact or has_bert, exact or has_cuml, exact]
        assert [reason == "" for reason in outcome.reasons.ravel()] == as_asked_for
    assert loop.seconds <= last / 1000 + 1e-6
    loop.end_all()
