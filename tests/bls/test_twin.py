"""The twin of any ensemble: requests share calls of steps and no request's trouble. In virtual time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from readability_triton.bls.row_queue import Options
from readability_triton.bls.settings import Settings
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import Tally
from readability_triton.bls.twin import Answer, Request, Twin, call_as_is, code
from readability_triton.ensemble.dag import Dag, Step
from readability_triton.stages.errors import InvalidRowError

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
        options: of every call.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, tuple[str, ...]]] = []
        self.fails: dict[str, Exception] = {}
        self.options: list[Options] = []

    async def __call__(
        self, model: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], options: Options
    ) -> dict[str, NDArray[Any]]:
        self.options.append(options)
        self.calls.append((model, len(next(iter(inputs.values()))), tuple(outputs)))
        await asyncio.sleep(0.1)
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


def request(
    *texts: bytes, factor: float | None = 1.0, outputs: Sequence[str] = OUTPUTS, width: int = 1, **fields: Any
) -> Request:
    tensors: dict[str, NDArray[Any]] = {"text": np.array([[text] * width for text in texts], dtype=object)}
    if factor is not None:
        tensors["factor"] = np.full((len(texts), 1), factor, dtype=np.float32)
    return Request(tensors, outputs, **fields)


def truth(one: Request) -> dict[str, Any]:
    """What the ensemble gives, without any of it."""
    texts = one.tensors["text"].tolist()
    factor = one.tensors.get("factor", np.full((len(texts), 1), 2)).ravel().tolist()
    scaled = [[len(text) * each for text in row] for row, each in zip(texts, factor, strict=True)]
    outputs = {"scaled": scaled, "upper": [[text.upper() for text in row] for row in texts]}
    return {name: outputs[name] for name in one.outputs}


CONFIG = """
name: "{name}" max_batch_size: {batch}
output {{ name: "{first}" data_type: TYPE_FP32 dims: [ -1 ] }}
output {{ name: "UPPER" data_type: TYPE_STRING dims: [ -1 ] }}
"""


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, first in (("measure", "LENGTH"), ("scale", "VALUE")):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.pbtxt").write_text(CONFIG.format(name=name, first=first, batch=64))
    return tmp_path


@pytest.fixture
def ask(loop, models, repository) -> Callable[..., list[Answer]]:
    """What the twin answers to requests that come at once."""

    def ask(*requests: Request, step: Any = call_as_is, dag: Dag = DAG, **parameters: str) -> list[Answer]:
        configured = Settings.read({"fold": "none", "slice_rows": "64"} | parameters, on_gpu=False)
        twin = Twin("twin", dag, step, configured, repository, models, Tally())
        answers: dict[int, list[Answer]] = {number: [] for number in range(len(requests))}
        accepted = [(replace(one, arrived=loop.time()), answers[n].append) for n, one in enumerate(requests)]
        loop.call_soon(twin.accept_all, accepted)
        loop.run(asyncio.sleep(0))
        loop.end_all()
        assert twin.rows_waiting == 0
        return [one for (one,) in answers.values()]

    return ask


def assert_answered(answers: Sequence[Answer], requests: Sequence[Request]) -> None:
    assert len(answers) == len(requests)
    for each, one in zip(answers, requests, strict=True):
        assert isinstance(each, dict), each
        assert {name: array.tolist() for name, array in each.items()} == truth(one)


GOOD = [request(b"a"), request(b"hen", b"sea", b"rain", factor=3.0), request(b"wood", factor=0.5)]


def test_every_request_gets_its_own_rows_in_order(ask) -> None:
    assert_answered(ask(*GOOD), GOOD)


def test_requests_that_come_at_once_share_the_call_of_a_step(ask, models: Models) -> None:
    ask(*GOOD)
    assert models.rows() == [("measure", 5), ("scale", 5)]


def test_a_step_that_takes_no_batches_is_called_for_each_request(ask, models: Models, repository: Path) -> None:
    for name in ("measure", "scale"):
        file = repository / name / "config.pbtxt"
        file.write_text(file.read_text().replace("64", "0").replace("[ -1 ]", "[ -1, -1 ]"))
    assert_answered(ask(*GOOD), GOOD)
    assert sorted(models.rows()) == [
        ("measure", 1),
        ("measure", 1),
        ("measure", 3),
        ("scale", 1),
        ("scale", 1),
        ("scale", 3),
    ]


def test_a_long_request_is_called_in_slices_and_comes_back_whole(ask, models: Models) -> None:
    long = request(*(b"a" * (1 + number) for number in range(10)))
    assert_answered(ask(long, slice_rows="4"), [long])
    assert models.rows() == [("measure", 4), ("measure", 4), ("measure", 2), ("scale", 4), ("scale", 4), ("scale", 2)]


def test_strings_stay_bytes_objects(ask) -> None:
    first, _ = ask(*GOOD[:2])
    assert isinstance(first, dict)
    assert first["upper"].dtype == object
    assert first["upper"].tolist() == [[b"A"]]


def test_only_requests_of_the_same_shape_beyond_the_batch_share_calls(ask, models: Models) -> None:
    requests = [GOOD[0], request(b"wide", width=2), GOOD[1], request(b"wider", b"widest", width=2)]
    assert_answered(ask(*requests), requests)
    assert all(n_rows < 5 for _, n_rows in models.rows())


def test_requests_without_an_optional_input_share_no_call_with_those_that_have_it(ask) -> None:
    requests = [GOOD[0], request(b"none", factor=None), GOOD[2], request(b"nil", factor=None)]
    assert_answered(ask(*requests), requests)


def test_a_step_that_no_wanted_output_needs_is_not_called(ask, models: Models) -> None:
    requests = [request(b"a", outputs=["upper"]), request(b"b", outputs=["upper"])]
    assert_answered(ask(*requests), requests)
    assert models.calls == [("measure", 2, ("UPPER",))]


def test_an_output_that_no_model_gives_is_left_out(ask) -> None:
    async def step(*_: Any) -> dict[str, Any]:
        return {}

    assert ask(*GOOD, step=step) == [{}, {}, {}]


def test_parameters_and_the_time_left_go_to_every_step_and_keep_requests_apart(ask, models: Models) -> None:
    requests = [
        request(b"a", parameters={"colour": "red"}, timeout_s=2.0),
        request(b"c", parameters={"colour": "red"}),
        request(b"b", parameters={"colour": "blue"}),
    ]
    assert_answered(ask(*requests), requests)
    assert sorted(models.rows()) == [("measure", 1), ("measure", 2), ("scale", 1), ("scale", 2)]
    assert {options.parameters for options in models.options} == {(("colour", "red"),), (("colour", "blue"),)}
    models.options.clear()
    ask(requests[0])
    assert [options.timeout_s for options in models.options] == pytest.approx([2.0, 1.9])


def test_a_request_whose_time_is_up_is_late(ask) -> None:
    (error,) = ask(request(b"a", timeout_s=0.15))
    assert isinstance(error, StageLateError)


@pytest.mark.parametrize("place", range(4))
def test_a_bad_request_harms_no_neighbour_and_names_its_own_row(ask, place: int) -> None:
    answers = ask(*GOOD[:place], request(b"fine", POISON), *GOOD[place:])
    error = answers.pop(place)
    assert isinstance(error, StageError)
    assert str(error) == "measure: row 1: text is poison"
    assert_answered(answers, GOOD)


def test_a_bad_row_of_a_long_request_has_its_number_in_the_request(ask) -> None:
    (error,) = ask(request(*[b"fine"] * 9, POISON), slice_rows="4")
    assert str(error) == "measure: row 9: text is poison"


def test_a_condition_that_goes_wrong_for_one_request_harms_no_other(ask, capsys) -> None:
    async def step(stages: Any, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Any]:
        if model == "scale" and (inputs["VALUE"] == 4).any():
            raise ZeroDivisionError("four")
        return await stages.call(model, inputs, outputs)

    *fine, wood = ask(*GOOD[:1], request(b"hen"), GOOD[2], step=step)
    assert_answered(fine, [GOOD[0], request(b"hen")])
    assert str(wood) == "twin: ZeroDivisionError: four"
    assert "ZeroDivisionError: four" in capsys.readouterr().err


@pytest.mark.parametrize("error", [StageBusyError("scale", "queue is full"), StageLateError("scale", "no answer")])
def test_a_model_that_is_busy_or_late_is_not_asked_again(ask, models: Models, error: StageError) -> None:
    models.fails = {"scale": error}
    assert list(map(str, ask(*GOOD))) == [str(error)] * 3
    assert models.rows() == [("measure", 5), ("scale", 5)]


def test_rows_that_a_model_drops_are_an_error(ask, models: Models, monkeypatch) -> None:
    monkeypatch.setattr(models, "_scale", lambda VALUE, FACTOR: {"VALUE": VALUE[:1]})  # noqa: N803
    answered, failed = ask(request(b"a", outputs=["upper"]), GOOD[1])
    assert isinstance(answered, dict)
    assert str(failed).startswith("scale: output VALUE is float32 [1, 1]; expected float32 [3, -1]")


texts = st.lists(st.sampled_from([b"a", b"hen", b"wood", POISON]), min_size=1, max_size=3)
some_requests = st.builds(
    lambda texts, factor, outputs, width: request(*texts, factor=factor, outputs=outputs, width=width),
    texts,
    st.sampled_from([None, 0.5, 3.0]),
    st.sampled_from([["scaled"], ["upper"], ["scaled", "upper"]]),
    st.integers(1, 2),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(some_requests, max_size=6))
def test_any_mix_of_requests_is_answered_as_each_by_itself(ask, requests: list[Request]) -> None:
    answers = ask(*requests)
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
    "gone": (CancelledRequestError("twin", "the client is gone"), "CANCELLED"),
    "late": (StageLateError("measure", "no answer"), "UNAVAILABLE"),
    "unforeseen": (KeyError("x"), "INTERNAL"),
}


@pytest.mark.parametrize(("error", "expected"), CODES.values(), ids=CODES.keys())
def test_the_code_says_whose_fault_it_is(error: Exception, expected: str) -> None:
    assert code(error) == expected
