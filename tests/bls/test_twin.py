"""The twin of any ensemble: requests share calls of steps and no request's trouble. In virtual time."""

import asyncio
import json
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
from readability_triton.bls.twin import Answer, Request, Shadowing, Twin, call_as_is, code
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
        others: more models by name.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, tuple[str, ...]]] = []
        self.fails: dict[str, Exception] = {}
        self.options: list[Options] = []
        self.others: dict[str, Callable[..., dict[str, NDArray[Any]]]] = {}

    async def __call__(
        self, model: str, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], options: Options
    ) -> dict[str, NDArray[Any]]:
        self.options.append(options)
        self.calls.append((model, len(next(iter(inputs.values()))), tuple(outputs)))
        await asyncio.sleep(0.1)
        if model in self.fails:
            raise self.fails[model]
        known = {"measure": self._measure, "scale": self._scale} | self.others
        answered = known[model](**inputs)
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


def test_output_spans_says_when_each_step_ran(ask) -> None:
    (answer,) = ask(request(b"a", b"hen", outputs=[*OUTPUTS, "SPANS"]))
    assert isinstance(answer, dict)
    first, second = answer.pop("SPANS")[:, 0]
    assert_answered([answer], [request(b"a", b"hen")])
    noted = json.loads(first)
    assert [(call["stage"], call["rows"]) for call in noted["calls"]] == [("measure", 2), ("scale", 2)]
    assert [call["start_ms"] for call in noted["calls"]] == pytest.approx([0, 100])
    assert noted["answered_ms"] == pytest.approx(200)
    assert second == b""


def test_output_spans_alone_runs_every_step_and_that_of_an_unbatched_twin_has_no_batch(ask, models: Models) -> None:
    (answer,) = ask(request(b"a", outputs=["SPANS"], is_batched=False))
    assert isinstance(answer, dict)
    assert list(answer) == ["SPANS"]
    assert answer["SPANS"].shape == (1,)
    assert [model for model, _ in models.rows()] == ["measure", "scale"]


def test_an_ensembles_own_output_of_that_name_stays_its_own(ask) -> None:
    dag = Dag("e", ("text",), ("SPANS",), (Step("measure", {"TEXT": "text"}, {"UPPER": "SPANS"}),))
    (answer,) = ask(request(b"a", factor=None, outputs=["SPANS"]), dag=dag)
    assert isinstance(answer, dict)
    assert answer["SPANS"].tolist() == [[b"A"]]


class InShadow:
    """A twin in the shadow of its ensemble: answers, calls and log."""

    def __init__(self, loop, repository: Path, models: Models, share: float) -> None:
        self.loop, self.lines, self.models = loop, [], models
        self.answers: list[Answer] = []
        (repository / "e").mkdir()
        config = CONFIG.format(name="e", first="scaled", batch=64).replace("UPPER", "upper")
        (repository / "e" / "config.pbtxt").write_text(config)
        settings = Settings.read({"fold": "none", "slice_rows": "64"}, on_gpu=False)
        shadowing = Shadowing(share, 1e-5, 2.0)
        self.twin = Twin("twin", DAG, call_as_is, settings, repository, models, Tally(), shadowing=shadowing)
        self.twin._shadows._log, self.twin._shadows._draw = self, lambda: 0.3

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))

    def send(self, one: Request) -> None:
        self.loop.call_soon(self.twin.accept, replace(one, arrived=self.loop.time()), self.answers.append)
        self.loop.run(asyncio.sleep(50))


def ensemble(**tensors: NDArray[Any]) -> dict[str, Any]:
    given = truth(Request(tensors, OUTPUTS))
    return {"scaled": np.array(given["scaled"], np.float32), "upper": np.array(given["upper"], dtype=object)}


@pytest.fixture
def in_shadow(loop, models, repository) -> Callable[..., InShadow]:
    models.others["e"] = ensemble
    return lambda share=0.5: InShadow(loop, repository, models, share)


def test_in_shadow_the_ensemble_answers_and_the_steps_run_afterwards_with_its_parameters(in_shadow, models) -> None:
    served = in_shadow()
    one = request(b"a", b"hen", parameters={"colour": "red"}, outputs=["scaled"])
    served.send(one)
    assert_answered(served.answers, [one])
    assert models.rows()[0] == ("e", 2)
    assert sorted(models.rows()[1:]) == [("e", 2), ("measure", 2), ("scale", 2)]
    assert {options.parameters for options in models.options} == {(("colour", "red"),)}
    assert [options.is_background for options in models.options] == [False, True, True, True]
    (line,) = served.lines
    assert (line["answer"], line["candidate"], line["verdict"], line["rows"]) == ("e", "twin", "same", 2)
    assert (line["again_ms"], line["candidate_ms"]) == pytest.approx((100, 200))


def test_a_request_beyond_the_share_is_answered_and_not_compared(in_shadow, models) -> None:
    served = in_shadow(share=0.3)
    served.send(GOOD[0])
    assert_answered(served.answers, [GOOD[0]])
    assert models.rows() == [("e", 1)]
    assert served.lines == []


def test_a_row_that_differs_is_logged_with_its_outputs_and_without_its_text(in_shadow, models, monkeypatch) -> None:
    def scale(VALUE: NDArray[Any], FACTOR: NDArray[Any]) -> dict[str, Any]:  # noqa: N803
        return {"VALUE": VALUE * FACTOR + (VALUE == 3)}

    monkeypatch.setattr(models, "_scale", scale)
    served = in_shadow()
    served.send(request(b"a", b"hen"))
    (line,) = served.lines
    assert (line["verdict"], line["worst"]) == ("differs", 1.0)
    (row,) = line["differing"]
    assert (row["row"], row["outputs"]) == (1, {"scaled": 1.0})
    assert "hen" not in json.dumps(line)


def test_an_error_of_the_ensemble_is_the_answer_and_nothing_is_compared(in_shadow, models) -> None:
    models.fails["e"] = StageError("e", "row 0: text is empty")
    served = in_shadow()
    served.send(GOOD[0])
    assert str(served.answers[0]) == "e: row 0: text is empty"
    assert served.lines == []


def test_steps_that_fail_in_shadow_take_nobody_an_answer(in_shadow, models) -> None:
    models.fails["scale"] = StageError("scale", "out of memory")
    served = in_shadow()
    served.send(GOOD[0])
    assert_answered(served.answers, [GOOD[0]])
    assert (served.lines[0]["verdict"], served.lines[0]["error"]) == ("failed", "scale: out of memory")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, None),
        ({"shadow_share": "0"}, Shadowing(0.0, 1e-5, 2.0)),
        ({"shadow_share": "0.1", "shadow_tolerance": "0.01", "shadow_timeout_ms": "500"}, Shadowing(0.1, 0.01, 0.5)),
    ],
)
def test_shadowing_is_read_from_the_configuration(parameters, expected) -> None:
    assert Shadowing.read(parameters) == expected


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"shadow_share": "1.5"}, "shadow_share is a number from 0 to 1, not 1.5"),
        ({"shadow_share": "much"}, "shadow_share is a number of at least 0, not 'much'"),
        ({"shadow_share": "1", "shadow_tolerance": "-1"}, "shadow_tolerance is a number of at least 0, not '-1'"),
        ({"shadow_share": "1", "shadow_timeout_ms": "inf"}, "shadow_timeout_ms is a number of at least 0, not 'inf'"),
    ],
)
def test_a_parameter_that_is_none_is_refused_by_name(parameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shadowing.read(parameters)
