"""A batch of requests shares its inner calls and no request's trouble."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readability_triton.bls import orchestrator
from readability_triton.bls.batch import Batch, Outcome, of_cuml
from readability_triton.bls.orchestrator import Answer, Request, answer, max_wait_s
from readability_triton.bls.policies.parallel import parallel
from readability_triton.bls.policy import Choice, PolicyError, find_policy, policy_names
from readability_triton.bls.stages import StageBusyError, StageError
from readability_triton.stages.errors import InvalidRowError

ONE_CALL_A_STAGE = ["bert-large", "cuml", "preprocess"]


def request(*rows: tuple[bytes, float], waited_s: float = 0.0, **parameters: Any) -> Request:
    texts, weights = zip(*rows, strict=True)
    excerpts = np.array(texts, dtype=object).reshape(-1, 1)
    return Request(excerpts, np.array(weights, dtype=np.float32).reshape(-1, 1), parameters, waited_s)


def truth(one: Request) -> list[list[float]]:
    """Blended length and first byte, computed without any stage."""
    texts, weights = one.excerpts.ravel().tolist(), one.weights.ravel().tolist()
    return [[weight * len(text) + (1 - weight) * text[0]] for text, weight in zip(texts, weights, strict=True)]


@pytest.fixture
def ask(stages, loop) -> Callable[..., list[Answer]]:
    def ask(requests: Sequence[Request], defaults: Mapping[str, str] | None = None) -> list[Answer]:
        return loop.run(answer(requests, stages, defaults or {}))

    return ask


@pytest.fixture
def use(monkeypatch) -> Callable[..., None]:
    """Put another policy in the place of all there are."""

    def use(run: Callable[..., Any]) -> None:
        policy = replace(find_policy("parallel"), run=run)
        monkeypatch.setattr(orchestrator, "choose", lambda parameters, defaults: Choice(policy))

    return use


def assert_scored(answers: Sequence[Answer], requests: Sequence[Request]) -> None:
    assert len(answers) == len(requests)
    for outcome, one in zip(answers, requests, strict=True):
        assert isinstance(outcome, Outcome), outcome
        assert outcome.scores.dtype == np.float32
        np.testing.assert_allclose(outcome.scores, truth(one), rtol=1e-6)
        assert outcome.bert.ravel().tolist() == list(map(len, one.excerpts.ravel()))
        assert len(outcome.cuml) == len(outcome.route) == len(outcome.reasons) == len(one.excerpts)


GOOD = [
    request((b"A hen.", 0.5)),
    request((b"The sea is wide.", 0.0), (b"Rain", 1.0), (b"Zoo", 0.25)),
    request(("Café".encode(), 0.9)),
]
BAD = {
    "not UTF-8": (
        request((b"A hen.", 0.5), (b"caf\xe9", 0.5)),
        "row 1: text is not UTF-8: unexpected end of data at byte 3",
    ),
    "empty": (request((b"", 0.5)), "row 0: text is empty"),
    "white space": (request((b"Rain", 0.5), (b"Sun", 0.5), (b" \n", 0.5)), "row 2: text holds only white space"),
    "NaN weight": (request((b"Rain", float("nan"))), "row 0: blend weight nan is not in [0, 1]"),
    "weight 2": (request((b"Rain", 1.0), (b"Sun", 2.0)), "row 1: blend weight 2.0 is not in [0, 1]"),
    "weight -1": (request((b"Rain", -1.0)), "row 0: blend weight -1.0 is not in [0, 1]"),
}
every_bad_request = pytest.mark.parametrize(("bad", "message"), BAD.values(), ids=BAD.keys())


def test_every_request_gets_its_own_blended_scores_in_order(ask) -> None:
    assert_scored(ask(GOOD), GOOD)


def test_a_batch_of_requests_takes_one_call_a_stage(stages, ask) -> None:
    ask(GOOD)
    assert sorted(stages.calls) == [(stage, 5) for stage in ONE_CALL_A_STAGE]


def test_a_request_alone_is_scored(ask) -> None:
    assert_scored(ask(GOOD[1:2]), GOOD[1:2])


def test_no_requests_have_no_answers_and_take_no_call(stages, ask) -> None:
    assert ask([]) == []
    assert stages.calls == []


@pytest.mark.parametrize(("weight", "score"), [(1.0, 6.0), (0.0, 65.0), (0.5, 35.5)])
def test_the_weight_is_the_share_of_bert(ask, weight: float, score: float) -> None:
    assert ask([request((b"A hen.", weight))])[0].scores.tolist() == [[score]]


@every_bad_request
def test_a_bad_request_gets_its_own_error(ask, bad: Request, message: str) -> None:
    (error,) = ask([bad])
    assert isinstance(error, InvalidRowError)
    assert str(error) == message


@every_bad_request
def test_a_bad_request_takes_no_call(stages, ask, bad: Request, message: str) -> None:
    ask([bad, bad])
    assert stages.calls == []


@every_bad_request
@pytest.mark.parametrize("place", range(4))
def test_neighbours_of_a_bad_request_get_their_scores(stages, ask, bad: Request, message: str, place: int) -> None:
    answers = ask([*GOOD[:place], bad, *GOOD[place:]])
    assert str(answers.pop(place)) == message
    assert_scored(answers, GOOD)
    assert sorted(stages.calls) == [(stage, 5) for stage in ONE_CALL_A_STAGE]


def test_each_of_many_bad_requests_gets_its_own_error(ask) -> None:
    answers = ask([bad for bad, _ in BAD.values()])
    assert list(map(str, answers)) == [message for _, message in BAD.values()]


def test_the_text_is_checked_before_the_weight(ask) -> None:
    assert str(ask([request((b"Rain", 7.0), (b"", 0.5))])[0]) == "row 1: text is empty"


class Case(NamedTuple):
    """A request, and whether it is valid."""

    request: Request
    valid: bool


texts = st.text(min_size=1, max_size=12).filter(str.strip).map(str.encode)
rows = st.tuples(texts, st.floats(0, 1, width=32))
valid = st.lists(rows, min_size=1, max_size=4).map(lambda some: Case(request(*some), True))
bad_rows = st.one_of(
    st.tuples(st.sampled_from([b"", b" ", b"\xff", b"\n\t"]), st.floats(0, 1, width=32)),
    st.tuples(texts, st.sampled_from([float("nan"), 2.0, -0.5, float("inf")])),
)
invalid = st.tuples(st.lists(rows, max_size=2), bad_rows).map(lambda some: Case(request(*some[0], some[1]), False))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(valid, invalid), max_size=6))
def test_any_mix_of_requests_is_answered_one_by_one(stages, ask, cases: list[Case]) -> None:
    stages.calls.clear()
    answers = ask([case.request for case in cases])
    assert [isinstance(one, Outcome) for one in answers] == [case.valid for case in cases]
    scored = [number for number, case in enumerate(cases) if case.valid]
    assert_scored([answers[number] for number in scored], [cases[number].request for number in scored])
    n_rows = sum(len(cases[number].request.excerpts) for number in scored)
    assert sorted(stages.calls) == ([(stage, n_rows) for stage in ONE_CALL_A_STAGE] if scored else [])


POISON = b"Something indigestible."


@pytest.mark.parametrize("place", range(4))
def test_only_the_request_that_a_stage_cannot_take_fails(stages, ask, place: int) -> None:
    stages.poison = POISON
    answers = ask([*GOOD[:place], request((b"Rain", 0.5), (POISON, 0.5)), *GOOD[place:]])
    guilty = answers.pop(place)
    assert isinstance(guilty, StageError)
    assert str(guilty) == "preprocess: cannot swallow this"
    assert_scored(answers, GOOD)


def test_when_the_joint_call_fails_each_request_is_tried_alone_once(stages, ask) -> None:
    stages.poison = POISON
    ask([*GOOD, request((POISON, 0.5))])
    assert stages.asked("preprocess") == [6, 1, 3, 1, 1]


def test_a_request_that_was_alone_already_is_not_tried_again(stages, ask) -> None:
    stages.poison = POISON
    (error,) = ask([request((POISON, 0.5))])
    assert isinstance(error, StageError)
    assert stages.calls == [("preprocess", 1)]


def test_a_valid_request_left_alone_by_bad_ones_is_not_tried_again(stages, ask) -> None:
    stages.poison = POISON
    answers = ask([request((b"", 0.5)), request((POISON, 0.5))])
    assert list(map(type, answers)) == [InvalidRowError, StageError]
    assert stages.calls == [("preprocess", 1)]


@pytest.mark.parametrize("stage", ["preprocess", "bert-large", "cuml"])
def test_when_a_stage_is_broken_every_request_is_told_so(stages, ask, stage: str) -> None:
    stages.fails[stage] = stages.ALWAYS
    answers = ask(GOOD)
    assert list(map(type, answers)) == [StageError] * 3
    assert list(map(str, answers)) == [f"{stage}: out of order"] * 3


def test_every_error_belongs_to_its_own_request(stages, ask) -> None:
    stages.poison = POISON
    answers = ask([request((POISON, 0.5)), *GOOD[:1], *[bad for bad, _ in BAD.values()], *GOOD[1:]])
    assert isinstance(answers[0], StageError)
    assert list(map(str, answers[2:-2])) == [message for _, message in BAD.values()]
    assert_scored([answers[1], *answers[-2:]], GOOD)


def test_requests_tried_alone_are_tried_at_the_same_time(stages, ask, loop) -> None:
    stages.delays["preprocess"] = 1
    stages.poison = POISON
    ask([*GOOD, request((POISON, 0.5))])
    assert loop.seconds == 2


def test_answers_keep_their_order_whichever_is_ready_first(stages, ask, use) -> None:
    async def slow_for_long_ones(stages, batch: Batch) -> Outcome:
        if len(batch) == 5:
            raise StageError("preprocess", "not all at once")
        stages.delays["cuml"] = len(batch)
        return await parallel(stages, batch)

    use(slow_for_long_ones)
    order = [GOOD[1], GOOD[0], GOOD[2]]
    assert_scored(ask(order), order)


def test_the_policy_gets_texts_weights_and_the_longest_wait(ask, use) -> None:
    seen = []

    async def watched(stages, batch: Batch) -> Outcome:
        seen.append(batch)
        return await parallel(stages, batch)

    use(watched)
    ask([request((b"A hen.", 0.5), waited_s=0.1), request(("Café".encode(), 0.25), (b"Zoo", 1.0), waited_s=0.3)])
    (batch,) = seen
    assert batch.excerpts.dtype == object
    assert batch.excerpts.tolist() == [[b"A hen."], ["Café".encode()], [b"Zoo"]]
    assert batch.weights.tolist() == [[0.5], [0.25], [1.0]]
    assert batch.waited_s == 0.3


def test_an_outcome_is_shared_out_with_all_that_belongs_to_it(ask, use) -> None:
    async def numbered(stages, batch: Batch) -> Outcome:
        numbers = np.arange(len(batch), dtype=np.float32)[:, None]
        outcome = of_cuml(numbers)
        reasons = np.array([[f"reason {row}"] for row in range(len(batch))], dtype=object)
        return Outcome(numbers, numbers + 10, numbers + 20, outcome.route, reasons)

    use(numbered)
    for outcome, rows in zip(ask(GOOD), ([0], [1, 2, 3], [4]), strict=True):
        assert outcome.scores.ravel().tolist() == rows
        assert outcome.bert.ravel().tolist() == [row + 10 for row in rows]
        assert outcome.cuml.ravel().tolist() == [row + 20 for row in rows]
        assert outcome.reasons.ravel().tolist() == [f"reason {row}" for row in rows]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"policy": "fastest"}, f"no policy 'fastest'; there are {', '.join(policy_names())}"),
        ({"policy": "cascade", "tolerance": -1}, "parameter tolerance is a number of at least 0, not -1"),
        ({"deadline_ms": 5}, "policy parallel takes no parameter 'deadline_ms'; it takes none"),
    ],
)
def test_a_request_for_what_there_is_not_gets_its_own_error_and_takes_no_call(stages, ask, parameters, message) -> None:
    answers = ask([GOOD[0], request((b"Rain", 0.5), **parameters), *GOOD[1:]])
    error = answers.pop(1)
    assert isinstance(error, PolicyError)
    assert str(error) == message
    assert_scored(answers, GOOD)
    assert sorted(stages.calls) == [(stage, 5) for stage in ONE_CALL_A_STAGE]


def test_where_a_request_is_silent_the_configuration_speaks(stages, ask) -> None:
    defaults = {"policy": "cascade", "tolerance": "1000", "bert_weight": "0.5"}
    skipped, asked = ask([request((b"Rain", 1.0)), request((b"Rain", 1.0), tolerance=0)], defaults)
    assert skipped.route.tolist() == [[b"cuml"]]
    assert asked.route.tolist() == [[b"bert-large+cuml"]]


def test_only_requests_that_ask_for_the_same_share_their_calls(stages, ask) -> None:
    ask(
        [
            request((b"A", 1.0), policy="cascade", tolerance=1),
            request((b"B", 1.0), (b"C", 1.0)),
            request((b"D", 1.0), policy="cascade", tolerance=2),
            request((b"E", 1.0), policy="parallel"),
            request((b"F", 1.0), tolerance="1.0", policy="cascade"),
            request((b"G", 1.0), policy="fallback"),
        ]
    )
    assert sorted(stages.asked("preprocess")) == [1, 1, 2, 3]


def test_those_that_ask_for_different_things_are_served_at_the_same_time(stages, ask, loop) -> None:
    stages.delays |= {"preprocess": 0.1, "bert-large": 0.5}
    answers = ask([request((b"Rain", 1.0), policy=policy) for policy in ("parallel", "fallback", "deadline", "graph")])
    assert loop.seconds == pytest.approx(0.6)
    routes = [outcome.route[0, 0] for outcome in answers]
    assert routes == [b"bert-large+cuml", b"bert-large+cuml", b"cuml", b"ensemble_all"]


def test_those_with_a_deadline_share_no_calls_and_have_each_their_own_time(stages, ask) -> None:
    stages.delays["bert-large"] = 0.1
    soon, sooner, old = ask(
        [
            request((b"A hen.", 1.0), policy="deadline", deadline_ms=150),
            request((b"A hen.", 1.0), policy="deadline", deadline_ms=50),
            request((b"A hen.", 1.0), policy="deadline", deadline_ms=150, waited_s=0.1),
        ]
    )
    assert stages.asked("preprocess") == [1, 1, 1]
    assert [outcome.scores.item() for outcome in (soon, sooner, old)] == [6, 65, 65]


def test_trouble_of_one_policy_is_none_of_another(stages, ask) -> None:
    stages.fails["gate"] = stages.ALWAYS
    answers = ask([GOOD[0], request((b"Rain", 1.0), policy="cascade"), *GOOD[1:]])
    assert str(answers.pop(1)) == "gate: out of order"
    assert_scored(answers, GOOD)


policies = st.sampled_from([{}, {"policy": "cascade", "tolerance": 0}, {"policy": "fallback"}, {"policy": "graph"}])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(rows, min_size=1, max_size=3), policies), min_size=1, max_size=6))
def test_any_mix_of_policies_gets_the_same_scores(ask, asked) -> None:
    requests = [request(*some, **parameters) for some, parameters in asked]
    for outcome, one in zip(ask(requests), requests, strict=True):
        np.testing.assert_allclose(outcome.scores, truth(one), rtol=1e-6)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(0, 100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_has_waited_too_long_is_told_so_and_nobody_else(stages, loop, waits: list[float], most_s: float) -> None:
    requests = [request((b"text", 0.5), waited_s=waited) for waited in waits]
    answers = loop.run(answer(requests, stages, {"max_wait_ms": str(most_s * 1000)}))
    for one, got in zip(requests, answers, strict=True):
        if one.waited_s > max_wait_s({"max_wait_ms": str(most_s * 1000)}):
            assert isinstance(got, StageBusyError)
            assert f"busy: this request waited {one.waited_s:.1f} s" in str(got)
        else:
            assert_scored([got], [one])


def test_without_a_limit_nobody_has_waited_too_long(ask) -> None:
    one = request((b"text", 0.5), waited_s=1e9)
    assert_scored(ask([one]), [one])


@pytest.mark.parametrize("limit", ["soon", ""])
def test_a_limit_that_is_no_number_is_an_error(limit: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        max_wait_s({"max_wait_ms": limit})
