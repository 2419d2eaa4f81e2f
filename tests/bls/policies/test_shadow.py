"""Policy `shadow`: the answer is that of the source that it names, and what is to be compared is left behind."""

import numpy as np
import pytest

from readability_triton.bls.policies.shadow import shadow
from readability_triton.bls.policy import PolicyError, RequestError, choose
from readability_triton.bls.stages import StageError

WEIGHTS = (1, 0, 0.5)
BOTH = [6, 84, 43]


@pytest.mark.parametrize("source", ["ensemble_all", "parallel", "graph", "deadline?deadline_ms=9000"])
def test_the_answer_is_that_of_its_source_and_the_candidate_has_not_run(stages, loop, batch_of, source: str) -> None:
    outcome = loop.run(shadow(stages, batch_of(*WEIGHTS), answer=source, candidate="guard"))
    assert outcome.scores.ravel().tolist() == BOTH
    (left,) = stages.shadows
    assert (left.answer.name, left.candidate.name) == (source, "guard")
    assert left.given is outcome
    if source == "ensemble_all":
        assert stages.calls == [("ensemble_all", 3)]


@pytest.mark.parametrize("candidate", ["parallel", "fallback?on_failure=ensemble_all", "ensemble_all"])
def test_the_candidate_can_be_run_later_by_what_is_left(stages, loop, batch_of, candidate: str) -> None:
    loop.run(shadow(stages, batch_of(*WEIGHTS), candidate=candidate))
    (left,) = stages.shadows
    outcome = loop.run(left.candidate.run(stages, left.batch))
    assert outcome.scores.ravel().tolist() == BOTH


def test_a_candidates_settings_are_passed_to_it(stages, loop, batch_of) -> None:
    loop.run(shadow(stages, batch_of(1, 1, 1), candidate="deadline?deadline_ms=0"))
    outcome = loop.run(stages.shadows[0].candidate.run(stages, stages.shadows[0].batch))
    assert set(outcome.route.ravel()) == {b"cuml"}


def test_the_time_of_the_answer_counts_from_arrival(stages, loop, batch_of) -> None:
    stages.delays["ensemble_all"] = 2
    loop.run(shadow(stages, batch_of(*WEIGHTS, waited_s=1.5)))
    assert stages.shadows[0].answer_s == 3.5
    assert stages.shadows[0].batch.waited_s == 0  # else a candidate with a deadline would have none left


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidate": "shadow"}, "shadow cannot run in shadow"),
        ({"candidate": "bls_pipeline"}, "bls_pipeline cannot run in shadow"),
        ({"answer": "?"}, "an empty name cannot run in shadow"),
        ({"candidate": "deadline?dead=1"}, "policy deadline takes no parameter 'dead'; it takes deadline_ms"),
        ({"candidate": "deadline?deadline_ms=much"}, "parameter deadline_ms is a number of at least 0, not 'much'"),
        ({"candidate": "ensemble_all?deadline_ms=1"}, "model ensemble_all takes no settings"),
        ({"share": 1.5}, "parameter share is a number from 0 to 1, not 1.5"),
    ],
    ids=str,
)
def test_what_cannot_run_is_refused_before_anything_is_asked(stages, loop, batch_of, settings, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        loop.run(shadow(stages, batch_of(*WEIGHTS), **settings))
    assert stages.calls == []
    assert stages.shadows == []


def test_a_source_that_fails_leaves_nothing_to_compare(stages, loop, batch_of) -> None:
    stages.fails["ensemble_all"] = 1
    with pytest.raises(StageError, match=r"^ensemble_all: out of order$"):
        loop.run(shadow(stages, batch_of(*WEIGHTS)))
    assert stages.shadows == []


@pytest.mark.parametrize(
    ("array", "message"),
    [(np.zeros(3, np.float32), r"float32 \[3\]; expected float32 \[3, 1\]"), (np.zeros((3, 1)), "float64")],
    ids=["squeezed", "double"],
)
def test_an_answer_of_another_shape_is_an_error_not_broadcast(stages, loop, batch_of, monkeypatch, array, message):
    async def call(model, inputs, outputs):
        return {"SCORE": array}

    monkeypatch.setattr(stages, "call", call)
    with pytest.raises(StageError, match=message):
        loop.run(shadow(stages, batch_of(*WEIGHTS)))


def test_its_settings_are_request_parameters() -> None:
    given = {"policy": "shadow", "candidate": "deadline", "share": 0.5, "times": "candidate"}
    assert dict(choose(given, {"answer": "parallel"}).settings) == {
        "answer": "parallel",
        "candidate": "deadline",
        "share": 0.5,
        "times": "candidate",
    }
    with pytest.raises(PolicyError, match="parameter candidate is a string, not 7"):
        choose({"policy": "shadow", "candidate": 7}, {})
