"""Policy `fallback`: a stage that fails is asked once more, then done without, or the ensemble is asked instead."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readability_triton.bls.policies.fallback import fallback
from readability_triton.bls.stages import StageError

BERT, CUML, BOTH = [6, 8, 4], [65, 84, 82], [6, 84, 43]
WEIGHTS = (1, 0, 0.5)
STAGES = ("preprocess", "bert-large", "cuml")
both_ways = pytest.mark.parametrize("on_failure", ["degrade", "ensemble_all"])
every_stage = pytest.mark.parametrize("stage", STAGES)


def said(outcome) -> tuple[list[float], set[bytes], list[str]]:
    """Scores, routes and reasons."""
    return outcome.scores.ravel().tolist(), set(outcome.route.ravel()), outcome.reasons.ravel().tolist()


@both_ways
def test_what_does_not_fail_is_blended_with_one_call_a_stage(stages, loop, batch_of, on_failure) -> None:
    stages.delays |= {"preprocess": 1, "bert-large": 5, "cuml": 4}
    outcome = loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure=on_failure))
    assert said(outcome) == (BOTH, {b"bert-large+cuml"}, ["", "", ""])
    assert sorted(stages.calls) == sorted((stage, 3) for stage in STAGES)
    assert loop.seconds == 6


@both_ways
@every_stage
def test_a_stage_that_fails_once_is_asked_again_and_nothing_is_lost(stages, loop, batch_of, on_failure, stage) -> None:
    stages.fails[stage] = 1
    outcome = loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure=on_failure))
    assert said(outcome) == (BOTH, {b"bert-large+cuml"}, ["", "", ""])
    assert stages.asked(stage) == [3, 3]
    assert len(stages.calls) == 4


def test_by_default_it_degrades(stages, loop, batch_of) -> None:
    stages.fails["bert-large"] = 2
    assert said(loop.run(fallback(stages, batch_of(*WEIGHTS))))[1] == {b"cuml"}


@pytest.mark.parametrize(
    ("stage", "scores", "route", "reasons"),
    [
        ("bert-large", CUML, b"cuml", ["bert-large failed", "", "bert-large failed"]),
        ("cuml", BERT, b"bert-large", ["", "cuml failed", "cuml failed"]),
    ],
)
def test_a_scorer_that_fails_twice_is_done_without_and_rows_that_did_not_want_it_are_as_asked_for(
    stages, loop, batch_of, stage, scores, route, reasons
) -> None:
    stages.fails[stage] = 2
    outcome = loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure="degrade"))
    assert said(outcome) == (scores, {route}, reasons)
    assert stages.asked(stage) == [3, 3]
    silent, heard = (outcome.bert, outcome.cuml) if stage == "bert-large" else (outcome.cuml, outcome.bert)
    assert np.isnan(silent).all()
    assert heard.ravel().tolist() == scores


@pytest.mark.parametrize("failing", [("preprocess",), ("bert-large", "cuml")])
def test_where_nothing_is_left_to_answer_with_the_error_is_given(stages, loop, batch_of, failing) -> None:
    stages.fails |= dict.fromkeys(failing, stages.ALWAYS)
    with pytest.raises(StageError, match=f"^{failing[0]}: out of order$"):
        loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure="degrade"))


@pytest.mark.parametrize("failing", [("preprocess",), ("bert-large",), ("cuml",), ("bert-large", "cuml")])
def test_the_ensemble_answers_in_full_where_a_stage_fails(stages, loop, batch_of, failing) -> None:
    stages.fails |= dict.fromkeys(failing, stages.ALWAYS)
    outcome = loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure="ensemble_all"))
    assert said(outcome) == (BOTH, {b"ensemble_all"}, ["", "", ""])
    assert np.isnan(outcome.bert).all()
    assert np.isnan(outcome.cuml).all()
    assert stages.asked("ensemble_all") == [3]


def test_an_ensemble_that_fails_too_is_named(stages, loop, batch_of) -> None:
    stages.fails |= {"cuml": 2, "ensemble_all": 1}
    with pytest.raises(StageError, match=r"^ensemble_all: out of order$"):
        loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure="ensemble_all"))


@both_ways
@pytest.mark.parametrize("stage", ["bert", "cuml"])
def test_an_error_that_is_no_stages_own_is_not_taken_for_one(
    stages, loop, batch_of, monkeypatch, on_failure, stage
) -> None:
    async def broken(*tensors):
        raise MemoryError

    monkeypatch.setattr(stages, stage, broken)
    stages.fails |= {"bert-large": stages.ALWAYS, "cuml": stages.ALWAYS}
    with pytest.raises(MemoryError):
        loop.run(fallback(stages, batch_of(*WEIGHTS), on_failure=on_failure))


times = st.integers(0, 3)
weights = st.tuples(*[st.sampled_from([0.0, 0.25, 1.0])] * 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(weights, times, times, times, st.sampled_from(["degrade", "ensemble_all"]))
def test_no_row_has_another_score_than_it_should_without_a_reason(
    stages, loop, batch_of, weights, preprocess, bert, cuml, on_failure
) -> None:
    stages.fails |= {"preprocess": preprocess, "bert-large": bert, "cuml": cuml}
    truth = [weight * b + (1 - weight) * c for weight, b, c in zip(weights, BERT, CUML, strict=True)]
    try:
        outcome = loop.run(fallback(stages, batch_of(*weights), on_failure=on_failure))
    except StageError:
        assert on_failure == "degrade"
        assert preprocess > 1 or min(bert, cuml) > 1
        return
    for score, reason, right in zip(outcome.scores.ravel(), outcome.reasons.ravel(), truth, strict=True):
        assert (score == right) == (reason == "")
