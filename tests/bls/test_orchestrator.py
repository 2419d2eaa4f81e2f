"""A batch of requests shares its inner calls and no request's trouble."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bls.orchestrator import Answer, Policy, Request, answer
from bls.policies.parallel import parallel
from bls.stages import Scores, StageError
from stages.errors import InvalidRowError

ONE_CALL_A_STAGE = ["bert-large", "cuml", "preprocess"]
SAFETY_S = 10


def request(*rows: tuple[bytes, float]) -> Request:
    texts, weights = zip(*rows, strict=True)
    excerpts = np.array(texts, dtype=object).reshape(-1, 1)
    return Request(excerpts, np.array(weights, dtype=np.float32).reshape(-1, 1))


def truth(one: Request) -> list[list[float]]:
    """Blended length and first byte, computed without any stage."""
    texts, weights = one.excerpts.ravel().tolist(), one.weights.ravel().tolist()
    return [[weight * len(text) + (1 - weight) * text[0]] for text, weight in zip(texts, weights, strict=True)]


def ask(stages: Any, requests: Sequence[Request], policy: Policy = parallel) -> list[Answer]:
    return asyncio.run(asyncio.wait_for(answer(requests, stages, policy), SAFETY_S))


def assert_scored(answers: Sequence[Answer], requests: Sequence[Request]) -> None:
    assert len(answers) == len(requests)
    for scores, one in zip(answers, requests, strict=True):
        assert isinstance(scores, np.ndarray), scores
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, truth(one), rtol=1e-6)


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


def test_every_request_gets_its_own_blended_scores_in_order(stages) -> None:
    assert_scored(ask(stages, GOOD), GOOD)


def test_a_batch_of_requests_takes_one_call_a_stage(stages) -> None:
    ask(stages, GOOD)
    assert sorted(stages.calls) == [(stage, 5) for stage in ONE_CALL_A_STAGE]


def test_a_request_alone_is_scored(stages) -> None:
    assert_scored(ask(stages, GOOD[1:2]), GOOD[1:2])


def test_no_requests_have_no_answers_and_take_no_call(stages) -> None:
    assert ask(stages, []) == []
    assert stages.calls == []


@pytest.mark.parametrize(("weight", "score"), [(1.0, 6.0), (0.0, 65.0), (0.5, 35.5)])
def test_the_weight_is_the_share_of_bert(stages, weight: float, score: float) -> None:
    assert ask(stages, [request((b"A hen.", weight))])[0].tolist() == [[score]]


@every_bad_request
def test_a_bad_request_gets_its_own_error(stages, bad: Request, message: str) -> None:
    (error,) = ask(stages, [bad])
    assert isinstance(error, InvalidRowError)
    assert str(error) == message


@every_bad_request
def test_a_bad_request_takes_no_call(stages, bad: Request, message: str) -> None:
    ask(stages, [bad, bad])
    assert stages.calls == []


@every_bad_request
@pytest.mark.parametrize("place", range(4))
def test_neighbours_of_a_bad_request_get_their_scores(stages, bad: Request, message: str, place: int) -> None:
    answers = ask(stages, [*GOOD[:place], bad, *GOOD[place:]])
    assert str(answers.pop(place)) == message
    assert_scored(answers, GOOD)
    assert sorted(stages.calls) == [(stage, 5) for stage in ONE_CALL_A_STAGE]


def test_each_of_many_bad_requests_gets_its_own_error(stages) -> None:
    answers = ask(stages, [bad for bad, _ in BAD.values()])
    assert list(map(str, answers)) == [message for _, message in BAD.values()]


def test_the_text_is_checked_before_the_weight(stages) -> None:
    assert str(ask(stages, [request((b"Rain", 7.0), (b"", 0.5))])[0]) == "row 1: text is empty"


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
def test_any_mix_of_requests_is_answered_one_by_one(stages, cases: list[Case]) -> None:
    stages.calls.clear()
    answers = ask(stages, [case.request for case in cases])
    assert [isinstance(one, np.ndarray) for one in answers] == [case.valid for case in cases]
    scored = [number for number, case in enumerate(cases) if case.valid]
    assert_scored([answers[number] for number in scored], [cases[number].request for number in scored])
    n_rows = sum(len(cases[number].request.excerpts) for number in scored)
    assert sorted(stages.calls) == ([(stage, n_rows) for stage in ONE_CALL_A_STAGE] if scored else [])


POISON = b"Something indigestible."


@pytest.mark.parametrize("place", range(4))
def test_only_the_request_that_a_stage_cannot_take_fails(stages, place: int) -> None:
    stages.poison = POISON
    answers = ask(stages, [*GOOD[:place], request((b"Rain", 0.5), (POISON, 0.5)), *GOOD[place:]])
    guilty = answers.pop(place)
    assert isinstance(guilty, StageError)
    assert str(guilty) == "preprocess: cannot swallow this"
    assert_scored(answers, GOOD)


def test_when_the_joint_call_fails_each_request_is_tried_alone_once(stages) -> None:
    stages.poison = POISON
    ask(stages, [*GOOD, request((POISON, 0.5))])
    assert [n_rows for stage, n_rows in stages.calls if stage == "preprocess"] == [6, 1, 3, 1, 1]


def test_a_request_that_was_alone_already_is_not_tried_again(stages) -> None:
    stages.poison = POISON
    (error,) = ask(stages, [request((POISON, 0.5))])
    assert isinstance(error, StageError)
    assert stages.calls == [("preprocess", 1)]


def test_a_valid_request_left_alone_by_bad_ones_is_not_tried_again(stages) -> None:
    stages.poison = POISON
    answers = ask(stages, [request((b"", 0.5)), request((POISON, 0.5))])
    assert list(map(type, answers)) == [InvalidRowError, StageError]
    assert stages.calls == [("preprocess", 1)]


@pytest.mark.parametrize("stage", ["preprocess", "bert-large", "cuml"])
def test_when_a_stage_is_broken_every_request_is_told_so(stages, stage: str) -> None:
    stages.broken = {stage}
    answers = ask(stages, GOOD)
    assert list(map(type, answers)) == [StageError] * 3
    assert list(map(str, answers)) == [f"{stage}: out of order"] * 3


def test_every_error_belongs_to_its_own_request(stages) -> None:
    stages.poison = POISON
    answers = ask(stages, [request((POISON, 0.5)), *GOOD[:1], *[bad for bad, _ in BAD.values()], *GOOD[1:]])
    assert isinstance(answers[0], StageError)
    assert list(map(str, answers[2:-2])) == [message for _, message in BAD.values()]
    assert_scored([answers[1], *answers[-2:]], GOOD)


def test_requests_tried_alone_are_tried_at_the_same_time(stages) -> None:
    async def score() -> list[Answer]:
        everyone = asyncio.Barrier(len(GOOD))

        async def policy(_, excerpts: NDArray[Any]) -> Scores:
            if len(excerpts) == 5:
                raise StageError("preprocess", "not all at once")
            await asyncio.wait_for(everyone.wait(), SAFETY_S)
            return await parallel(stages, excerpts)

        return await answer(GOOD, stages, policy)

    assert_scored(asyncio.run(score()), GOOD)


def test_answers_keep_their_order_whichever_is_ready_first(stages) -> None:
    async def slow_for_long_ones(_, excerpts: NDArray[Any]) -> Scores:
        if len(excerpts) == 5:
            raise StageError("preprocess", "not all at once")
        for _turn in range(10 * len(excerpts)):
            await asyncio.sleep(0)
        return await parallel(stages, excerpts)

    order = [GOOD[1], GOOD[0], GOOD[2]]
    assert_scored(ask(stages, order, slow_for_long_ones), order)


class OnHost(NamedTuple):
    """A Triton tensor on the CPU, as far as the orchestrator looks at it."""

    array: NDArray[np.float32]

    def as_numpy(self) -> NDArray[np.float32]:
        return self.array


def test_scores_may_come_as_triton_tensors(stages) -> None:
    async def wrapped(stages, excerpts: NDArray[Any]) -> Scores:
        return Scores(*map(OnHost, await parallel(stages, excerpts)))

    assert_scored(ask(stages, GOOD, wrapped), GOOD)


def test_the_policy_gets_the_excerpts_untouched(stages) -> None:
    seen = []

    async def watched(stages, excerpts: NDArray[Any]) -> Scores:
        seen.append(excerpts)
        return await parallel(stages, excerpts)

    ask(stages, GOOD, watched)
    (excerpts,) = seen
    assert excerpts.dtype == object
    assert excerpts.tolist() == [[b"A hen."], [b"The sea is wide."], [b"Rain"], [b"Zoo"], ["Café".encode()]]
