"""The twin of any ensemble: a batch of requests shares its inner calls and no request's trouble."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from readability_triton.bls.stages import StageBusyError, StageError, StageLateError
from readability_triton.bls.twin import Answer, Request, answer, code, message
from readability_triton.ensemble.dag import Dag, Step
from readability_triton.stages.errors import InvalidRowError

SAFETY_S = 10
POISON = b"poison"

MEASURE = Step("measure", {"TEXT": "text"}, {"LENGTH": "length", "UPPER": "upper"})
SCALE = Step("scale", {"VALUE": "length", "FACTOR": "factor"}, {"VALUE": "scaled"})
DAG = Dag("e", ("text", "factor"), ("scaled", "upper"), (MEASURE, SCALE))
OUTPUTS = ("scaled", "upper")


class Models:
    """A model of strings and one of numbers, with a record of what was asked of them.

    Attributes:
        calls: model, rows and wanted outputs of every call, in order.
        fails: the error of every model that fails.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, tuple[str, ...]]] = []
        self.fails: dict[str, Exception] = {}

    async def __call__(
        self, model: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        self.calls.append((model, len(next(iter(inputs.values()))), tuple(outputs)))
        await asyncio.sleep(0)
        if model in self.fails:
            raise self.fails[model]
        answered = self._measure(**inputs) if model == "measure" else self._scale(**inputs)
        return {name: answered[name] for name in outputs}

    @staticmethod
    def _measure(TEXT: NDArray[Any]) -> dict[str, NDArray[Any]]:  # noqa: N803
        for row, text in enumerate(TEXT[:, 0]):
            if text == POISON:
                raise StageError("measure", f"row {row}: text is poison")
        length = np.vectorize(len, otypes=[np.float32])(TEXT)
        return {"LENGTH": length, "UPPER": np.array([[each.upper() for each in row] for row in TEXT], dtype=object)}

    @staticmethod
    def _scale(VALUE: NDArray[Any], FACTOR: NDArray[Any] | None = None) -> dict[str, NDArray[Any]]:  # noqa: N803
        return {"VALUE": VALUE * (2 if FACTOR is None else FACTOR)}

    def rows(self) -> list[tuple[str, int]]:
        return [(model, n_rows) for model, n_rows, _ in self.calls]


def request(*texts: bytes, factor: float | None = 1.0, outputs: Sequence[str] = OUTPUTS, width: int = 1) -> Request:
    tensors: dict[str, NDArray[Any]] = {"text": np.array([[text] * width for text in texts], dtype=object)}
    if factor is not None:
        tensors["factor"] = np.full((len(texts), 1), factor, dtype=np.float32)
    return Request(tensors, outputs)


def truth(one: Request) -> dict[str, Any]:
    """What the ensemble gives, without any of it."""
    texts = one.tensors["text"].tolist()
    factor = one.tensors.get("factor", np.full((len(texts), 1), 2)).ravel().tolist()
    scaled = [[len(text) * each for text in row] for row, each in zip(texts, factor, strict=True)]
    outputs = {"scaled": scaled, "upper": [[text.upper() for text in row] for row in texts]}
    return {name: outputs[name] for name in one.outputs}


@pytest.fixture
def models() -> Models:
    return Models()


def ask(models: Any, *requests: Request, joined: bool = True, dag: Dag = DAG) -> list[Answer]:
    return asyncio.run(asyncio.wait_for(answer(requests, dag, models, joined=joined), SAFETY_S))


def assert_answered(answers: Sequence[Answer], requests: Sequence[Request]) -> None:
    assert len(answers) == len(requests)
    for each, one in zip(answers, requests, strict=True):
        assert isinstance(each, dict), each
        assert {name: array.tolist() for name, array in each.items()} == truth(one)


GOOD = [request(b"a"), request(b"hen", b"sea", b"rain", factor=3.0), request(b"wood", factor=0.5)]


def test_every_request_gets_its_own_rows_in_order(models: Models) -> None:
    assert_answered(ask(models, *GOOD), GOOD)


def test_a_batch_of_requests_takes_one_call_a_step(models: Models) -> None:
    ask(models, *GOOD)
    assert models.rows() == [("measure", 5), ("scale", 5)]


def test_without_a_batch_dimension_each_request_has_its_own_calls(models: Models) -> None:
    assert_answered(ask(models, *GOOD, joined=False), GOOD)
    assert models.rows() == [("measure", 1), ("measure", 3), ("measure", 1), ("scale", 1), ("scale", 3), ("scale", 1)]


def test_strings_stay_bytes_objects(models: Models) -> None:
    first, _ = ask(models, *GOOD[:2])
    assert isinstance(first, dict)
    assert first["upper"].dtype == object
    assert first["upper"].tolist() == [[b"A"]]


def test_no_requests_have_no_answers_and_take_no_call(models: Models) -> None:
    assert ask(models) == []
    assert models.calls == []


def test_only_requests_of_the_same_shape_beyond_the_batch_are_joined(models: Models) -> None:
    requests = [GOOD[0], request(b"wide", width=2), GOOD[1], request(b"wider", b"widest", width=2)]
    assert_answered(ask(models, *requests), requests)
    assert sorted(models.rows()) == [("measure", 3), ("measure", 4), ("scale", 3), ("scale", 4)]


def test_requests_that_lack_an_optional_input_are_not_joined_with_those_that_have_it(models: Models) -> None:
    requests = [GOOD[0], request(b"none", factor=None), GOOD[2], request(b"nil", factor=None)]
    assert_answered(ask(models, *requests), requests)
    assert sorted(models.rows()) == [("measure", 2), ("measure", 2), ("scale", 2), ("scale", 2)]


def test_a_step_that_no_wanted_output_needs_is_not_called(models: Models) -> None:
    requests = [request(b"a", outputs=["upper"]), request(b"b", outputs=["upper"])]
    assert_answered(ask(models, *requests), requests)
    assert models.calls == [("measure", 2, ("UPPER",))]


def test_requests_that_want_different_outputs_get_what_they_want(models: Models) -> None:
    requests = [request(b"a", outputs=["upper"]), request(b"b"), request(b"c", outputs=["scaled"])]
    assert_answered(ask(models, *requests), requests)


def test_the_order_of_wanted_outputs_keeps_nobody_apart(models: Models) -> None:
    requests = [request(b"a", outputs=["upper", "scaled"]), request(b"b", outputs=["scaled", "upper"])]
    assert_answered(ask(models, *requests), requests)
    assert models.rows() == [("measure", 2), ("scale", 2)]


def test_an_output_that_no_model_gives_is_left_out() -> None:
    async def call(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        return {}

    assert ask(call, *GOOD) == [{}, {}, {}]


@pytest.mark.parametrize("place", range(4))
def test_a_bad_request_harms_no_neighbour_and_names_its_own_row(models: Models, place: int) -> None:
    answers = ask(models, *GOOD[:place], request(b"fine", POISON), *GOOD[place:])
    error = answers.pop(place)
    assert isinstance(error, StageError)
    assert str(error) == "measure: row 1: text is poison"
    assert_answered(answers, GOOD)


def test_when_the_joint_call_fails_each_request_is_tried_alone_once(models: Models) -> None:
    ask(models, *GOOD, request(POISON))
    assert [n_rows for model, n_rows in models.rows() if model == "measure"] == [6, 1, 3, 1, 1]


def test_a_request_that_was_alone_already_is_not_tried_again(models: Models) -> None:
    assert isinstance(ask(models, request(POISON))[0], StageError)
    assert models.rows() == [("measure", 1)]


def test_another_group_is_not_tried_again(models: Models) -> None:
    wide = [request(b"wide", width=2), request(b"wider", width=2)]
    answers = ask(models, GOOD[0], request(POISON), *wide)
    assert_answered([answers[0], *answers[2:]], [GOOD[0], *wide])
    assert [n_rows for model, n_rows in models.rows() if model == "measure"] == [2, 2, 1, 1]


def test_a_condition_that_goes_wrong_for_one_request_harms_no_other(models: Models) -> None:
    async def call(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        if model == "scale" and (inputs["VALUE"] == 4).any():
            raise ZeroDivisionError("four")
        return await models(model, inputs, outputs)

    *fine, wood = ask(call, *GOOD[:1], request(b"hen"), GOOD[2])
    assert_answered(fine, [GOOD[0], request(b"hen")])
    assert isinstance(wood, ZeroDivisionError)


@pytest.mark.parametrize("error", [StageBusyError("scale", "queue is full"), StageLateError("scale", "no answer")])
def test_a_model_that_is_busy_or_late_is_not_asked_again(models: Models, error: StageError) -> None:
    models.fails = {"scale": error}
    assert ask(models, *GOOD) == [error] * 3
    assert models.rows() == [("measure", 5), ("scale", 5)]


def test_rows_that_a_model_adds_or_drops_are_not_handed_to_the_wrong_request(models: Models) -> None:
    async def call(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        answered = await models(model, inputs, outputs)
        return {name: array[:1] if model == "scale" else array for name, array in answered.items()}

    answers = [each for each in ask(call, *GOOD) if isinstance(each, dict)]
    assert [each["scaled"].tolist() for each in answers] == [[[1.0]], [[9.0]], [[2.0]]]
    assert [each["upper"].shape for each in answers] == [(1, 1), (3, 1), (1, 1)]


class TritonTensor:
    """As much of Triton's tensor as a twin looks at."""

    def __init__(self, array: NDArray[Any], on_cpu: bool) -> None:
        self.array, self.on_cpu = array, on_cpu

    def is_cpu(self) -> bool:
        return self.on_cpu

    def as_numpy(self) -> NDArray[Any]:
        assert self.on_cpu, "Tensor is stored in GPU and cannot be converted to NumPy."
        return self.array

    def to_dlpack(self) -> Any:
        return torch.utils.dlpack.to_dlpack(torch.from_numpy(self.array))


@pytest.mark.parametrize("on_cpu", [True, False])
def test_answers_may_come_as_triton_tensors_wherever_they_are(models: Models, on_cpu: bool) -> None:
    async def call(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        arrays = {name: getattr(tensor, "array", tensor) for name, tensor in inputs.items()}
        return {name: TritonTensor(array, on_cpu) for name, array in (await models(model, arrays, outputs)).items()}

    requests = [request(b"hen", outputs=["scaled"]), request(b"wood", outputs=["scaled"])]
    assert_answered(ask(call, *requests), requests)


texts = st.lists(st.sampled_from([b"a", b"hen", b"wood", POISON]), min_size=1, max_size=3)
some_requests = st.builds(
    lambda texts, factor, outputs, width: request(*texts, factor=factor, outputs=outputs, width=width),
    texts,
    st.sampled_from([None, 0.5, 3.0]),
    st.sampled_from([["scaled"], ["upper"], ["scaled", "upper"]]),
    st.integers(1, 2),
)


@given(st.lists(some_requests, max_size=6), st.booleans())
def test_any_mix_of_requests_is_answered_as_if_each_were_alone(requests: list[Request], joined: bool) -> None:
    answers = ask(Models(), *requests, joined=joined)
    good = [POISON not in one.tensors["text"] for one in requests]
    assert [isinstance(each, dict) for each in answers] == good
    numbers = [number for number, fine in enumerate(good) if fine]
    assert_answered([answers[number] for number in numbers], [requests[number] for number in numbers])


CODES = {
    "a row of a step's input": (StageError("measure", "row 3: text is empty"), "INVALID_ARG"),
    "a row of a step of an ensemble": (StageError("inner", "in ensemble 'inner', row 0: text is empty"), "INVALID_ARG"),
    "a condition's own refusal": (InvalidRowError(1, "too long"), "INVALID_ARG"),
    "another reason": (StageError("measure", "out of memory"), "INTERNAL"),
    "a row somewhere in it": (StageError("measure", "see log, row 3: out of memory"), "INTERNAL"),
    "busy": (StageBusyError("measure", "queue is full"), "UNAVAILABLE"),
    "late": (StageLateError("measure", "no answer"), "UNAVAILABLE"),
    "unforeseen": (KeyError("x"), "INTERNAL"),
}


@pytest.mark.parametrize(("error", "expected"), CODES.values(), ids=CODES.keys())
def test_the_code_says_whose_fault_it_is(error: Exception, expected: str) -> None:
    assert code(error) == expected


def test_the_message_is_the_errors_own() -> None:
    assert message(StageError("measure", "row 3: text is empty")) == "measure: row 3: text is empty"
    assert message(InvalidRowError(3, "too long")) == "row 3: too long"


def test_an_unforeseen_error_comes_with_its_place() -> None:
    async def call(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        raise KeyError("x")

    (error,) = ask(call, GOOD[0])
    assert isinstance(error, KeyError)
    assert message(error).endswith("KeyError: 'x'\n")
    assert f'"{__file__}", line ' in message(error)
