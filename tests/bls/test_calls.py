"""The BLS calls, with a stand-in for the module that only Triton's Python stub has."""

import asyncio
import importlib
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from readability_triton.bls.stages import StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import STAGE_CALLS, STAGE_FAILURES, STAGE_SECONDS, Tally

IDS = np.arange(6, dtype=np.int64).reshape(2, 3)
MASK = np.ones((2, 3), np.int64)
FEATURES = np.linspace(0, 1, 4, dtype=np.float32).reshape(2, 2)
EXCERPTS = np.array([[b"A hen."], [b"Rain."]], dtype=object)
SCORES = np.array([[0.5], [-1.5]], dtype=np.float32)
SAFETY_S = 10


class FakeTensor:
    """A tensor on the CPU that speaks DLPack as Triton's does."""

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    @classmethod
    def from_dlpack(cls, name: str, tensor: Any) -> "FakeTensor":
        if tensor.as_numpy().dtype == object:
            raise FakeTritonError("DLPack does not support BYTES")
        return cls(name, np.from_dlpack(tensor))

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> NDArray[Any]:
        return self._array


@dataclass
class FakeResponse:
    tensors: list[FakeTensor] = field(default_factory=list)
    message: str | None = None

    def has_error(self) -> bool:
        return self.message is not None

    def error(self) -> SimpleNamespace:
        return SimpleNamespace(message=lambda: self.message)

    def output_tensors(self) -> list[FakeTensor]:
        return [] if self.has_error() else self.tensors


class FakeTritonError(Exception):
    """Stands for `TritonModelException`."""


@dataclass
class FakeServer:
    """Answers every inner request, and remembers it with its options."""

    answer: Callable[[], FakeResponse] = FakeResponse
    requests: list[Any] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def module(self) -> ModuleType:
        server = self

        class InferenceRequest:
            def __init__(
                self, *, model_name: str, requested_output_names: list[str], inputs: list[FakeTensor], **options: Any
            ) -> None:
                self.model_name, self.requested_output_names, self.inputs = model_name, requested_output_names, inputs
                self.options = options
                server.requests.append(self)

            def exec(self) -> FakeResponse:
                server.started.append(self.model_name)
                return server.answer()

        fake = ModuleType("triton_python_backend_utils")
        fake.TRITONSERVER_MEMORY_CPU = "cpu"
        fake.PreferredMemory = lambda kind, device: (kind, device)
        fake.Tensor, fake.InferenceRequest, fake.TritonModelException = FakeTensor, InferenceRequest, FakeTritonError
        return fake

    def gives(self, **tensors: NDArray[Any]) -> None:
        """Outputs in this order, whatever order was asked for."""
        self.answer = lambda: FakeResponse([FakeTensor(name, array) for name, array in tensors.items()])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer()
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", server.module())
    return server


@pytest.fixture
def calls(server: FakeServer) -> Iterator[Any]:
    """The module."""
    sys.modules.pop("readability_triton.bls.calls", None)
    yield importlib.import_module("readability_triton.bls.calls")
    del sys.modules["readability_triton.bls.calls"]


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def stages(calls: Any, tally: Tally) -> Any:
    return calls.TritonStages(Path(__file__).parents[2] / "model_repository", tally)


def ask(stages: Any, stage: str) -> Awaitable[Any]:
    """Call one stage with tensors that carry the names of the stage before."""
    arguments = {
        "preprocess": [EXCERPTS],
        "bert": [FakeTensor("BERT_IDS", IDS), FakeTensor("BERT_AM", MASK)],
        "cuml": [FakeTensor("TREE_FEATS", FEATURES)],
        "gate": [FakeTensor("TREE_FEATS", FEATURES)],
    }
    return getattr(stages, stage)(*arguments[stage])


def call(stages: Any, stage: str) -> Any:
    return asyncio.run(asyncio.wait_for(ask(stages, stage), SAFETY_S))


OUTPUTS = {
    "preprocess": {"TREE_FEATS": FEATURES, "BERT_AM": MASK, "BERT_IDS": IDS},
    "bert": {"OUTPUT__0": SCORES},
    "cuml": {"output__0": SCORES},
    "gate": {"output__0": SCORES},
}
CONTRACT = {
    "preprocess": ("preprocess", {"INPUT0": EXCERPTS}, ["BERT_IDS", "BERT_AM", "TREE_FEATS"]),
    "bert": ("bert-large", {"INPUT__0": IDS, "INPUT__1": MASK}, ["OUTPUT__0"]),
    "cuml": ("cuml", {"input__0": FEATURES}, ["output__0"]),
    "gate": ("gate", {"input__0": FEATURES}, ["output__0"]),
}
every_stage = pytest.mark.parametrize("stage", CONTRACT)


@every_stage
def test_a_stage_is_one_request_with_the_names_of_the_contract(server: FakeServer, stages, stage: str) -> None:
    server.gives(**OUTPUTS[stage])
    call(stages, stage)
    model, inputs, outputs = CONTRACT[stage]
    (request,) = server.requests
    assert (request.model_name, request.requested_output_names) == (model, outputs)
    assert [tensor.name() for tensor in request.inputs] == list(inputs)
    for tensor, array in zip(request.inputs, inputs.values(), strict=True):
        np.testing.assert_array_equal(tensor.as_numpy(), array)


@pytest.mark.parametrize(("stage", "arrays"), [("bert", [IDS, MASK]), ("cuml", [FEATURES]), ("gate", [FEATURES])])
def test_tensors_are_passed_on_without_a_copy(server: FakeServer, stages, stage: str, arrays: list[Any]) -> None:
    server.gives(**OUTPUTS[stage])
    call(stages, stage)
    for tensor, array in zip(server.requests[0].inputs, arrays, strict=True):
        assert np.shares_memory(tensor.as_numpy(), array)


def test_preprocess_tells_its_outputs_apart_by_name(server: FakeServer, stages) -> None:
    server.gives(**OUTPUTS["preprocess"])
    prepared = call(stages, "preprocess")
    assert [tensor.name() for tensor in prepared] == ["BERT_IDS", "BERT_AM", "TREE_FEATS"]
    assert prepared.ids.as_numpy() is IDS
    assert prepared.mask.as_numpy() is MASK
    assert prepared.features.as_numpy() is FEATURES


@pytest.mark.parametrize("stage", ["bert", "cuml", "gate"])
def test_a_scorer_gives_its_score_as_it_is(server: FakeServer, stages, stage: str) -> None:
    server.gives(**OUTPUTS[stage])
    assert call(stages, stage).as_numpy() is SCORES


@every_stage
def test_an_error_in_the_response_names_the_model(server: FakeServer, stages, stage: str) -> None:
    server.answer = lambda: FakeResponse(message="out of memory")
    with pytest.raises(StageError) as caught:
        call(stages, stage)
    model, _, _ = CONTRACT[stage]
    assert str(caught.value) == f"{model}: out of memory"
    assert caught.value.stage == model


@every_stage
def test_a_call_that_triton_refuses_names_the_model(server: FakeServer, stages, stage: str) -> None:
    def refuse() -> FakeResponse:
        raise FakeTritonError("no such model")

    server.answer = refuse
    with pytest.raises(StageError) as caught:
        call(stages, stage)
    assert str(caught.value) == f"{CONTRACT[stage][0]}: no such model"
    assert isinstance(caught.value.__cause__, FakeTritonError)


@pytest.mark.parametrize("how", ["response", "exception"])
@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("[bert-large] Exceeds maximum queue size", StageBusyError),
        ("Request timeout expired", StageLateError),
        ("out of memory", StageError),
    ],
)
def test_a_full_queue_and_a_request_that_waited_too_long_are_errors_of_their_own(
    server: FakeServer, stages, how: str, reason: str, kind: type[StageError]
) -> None:
    def refuse() -> FakeResponse:
        if how == "response":
            return FakeResponse(message=reason)
        raise FakeTritonError(reason)

    server.answer = refuse
    with pytest.raises(StageError) as caught:
        call(stages, "bert")
    assert type(caught.value) is kind
    assert str(caught.value) == f"bert-large: {reason}"


def test_an_error_that_is_not_tritons_is_not_taken_for_a_stages(server: FakeServer, stages) -> None:
    def fail() -> FakeResponse:
        raise MemoryError

    server.answer = fail
    with pytest.raises(MemoryError):
        call(stages, "bert")


def test_any_model_is_called_by_its_own_names(server: FakeServer, stages) -> None:
    server.gives(SCORE=SCORES, OTHER=IDS)
    inputs = {"excerpt": EXCERPTS, "BERT_WEIGHT": FakeTensor("weights", SCORES)}
    answer = asyncio.run(stages.call("ensemble_all", inputs, ("SCORE",)))
    (request,) = server.requests
    assert (request.model_name, request.requested_output_names) == ("ensemble_all", ["SCORE"])
    assert [
        (tensor.name(), tensor.as_numpy() is array)
        for tensor, array in zip(request.inputs, [EXCERPTS, SCORES], strict=True)
    ] == [
        ("excerpt", True),
        ("BERT_WEIGHT", False),
    ]
    assert np.shares_memory(request.inputs[1].as_numpy(), SCORES)
    assert answer["SCORE"].as_numpy() is SCORES


def test_strings_of_another_model_are_written_anew_under_the_new_name(server: FakeServer, stages) -> None:
    asyncio.run(stages.call("shout", {"TEXT": FakeTensor("excerpt", EXCERPTS)}, ["UPPER"]))
    (tensor,) = server.requests[0].inputs
    assert tensor.name() == "TEXT"
    assert tensor.as_numpy().tolist() == EXCERPTS.tolist()


@pytest.mark.parametrize("stage", ["bert", "cuml", "gate"])
def test_scores_are_wanted_on_the_host(server: FakeServer, stages, stage: str) -> None:
    server.gives(**OUTPUTS[stage])
    call(stages, stage)
    assert server.requests[0].options == {"preferred_memory": ("cpu", 0)}


def test_what_goes_on_to_the_next_model_stays_where_it_is(server: FakeServer, stages) -> None:
    server.gives(**OUTPUTS["preprocess"])
    call(stages, "preprocess")
    assert server.requests[0].options == {}


@every_stage
def test_calls_belong_to_the_trace_of_the_request_where_it_is_traced(server: FakeServer, stages, stage: str) -> None:
    server.gives(**OUTPUTS[stage])
    call(stages, stage)
    stages.trace = "the trace"
    call(stages, stage)
    untraced, traced = server.requests
    assert "trace" not in untraced.options
    assert traced.options["trace"] == "the trace"


def test_calls_are_counted_with_their_time_and_their_failures(server: FakeServer, stages, tally: Tally) -> None:
    server.gives(**OUTPUTS["cuml"])
    call(stages, "cuml")
    server.answer = lambda: FakeResponse(message="out of memory")
    for stage in ("cuml", "bert"):
        with pytest.raises(StageError):
            call(stages, stage)
    counts = tally.drain()
    assert (counts[STAGE_CALLS, "cuml"], counts[STAGE_FAILURES, "cuml"]) == (2, 1)
    assert (counts[STAGE_CALLS, "bert-large"], counts[STAGE_FAILURES, "bert-large"]) == (1, 1)
    assert 0 < counts[STAGE_SECONDS, "cuml"] < SAFETY_S


class Hanging:
    """A model that answers no call before it is told to."""

    def __init__(self, server: FakeServer) -> None:
        self.go, self.running, self.most = threading.Event(), 0, 0
        self._lock, self._server = threading.Lock(), server
        server.answer = self.answer

    def answer(self) -> FakeResponse:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.go.wait(SAFETY_S)
        with self._lock:
            self.running -= 1
        return FakeResponse([FakeTensor("OUTPUT__0", SCORES), FakeTensor("output__0", SCORES)])


@pytest.fixture
def hanging(server: FakeServer) -> Iterator[Hanging]:
    hanging = Hanging(server)
    yield hanging
    hanging.go.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SAFETY_S):
        while not true():
            await asyncio.sleep(0.001)


def test_only_so_many_calls_of_one_model_are_in_flight_and_the_others_wait(calls, stages, hanging, server) -> None:
    n_calls = 3 * calls.MOST_AT_ONCE

    async def score() -> list[Any]:
        asked = [asyncio.ensure_future(ask(stages, "bert")) for _ in range(n_calls)]
        await until(lambda: hanging.running == calls.MOST_AT_ONCE)
        await asyncio.sleep(0.05)
        assert len(server.started) == calls.MOST_AT_ONCE
        hanging.go.set()
        return await asyncio.wait_for(asyncio.gather(*asked), SAFETY_S)

    assert len(asyncio.run(score())) == n_calls
    assert hanging.most <= calls.MOST_AT_ONCE


def test_a_model_that_hangs_does_not_keep_others_from_being_asked(calls, stages, hanging, server) -> None:
    async def score() -> None:
        asked = [asyncio.ensure_future(ask(stages, "bert")) for _ in range(2 * calls.MOST_AT_ONCE)]
        await until(lambda: hanging.running == calls.MOST_AT_ONCE)
        others = [asyncio.ensure_future(ask(stages, stage)) for stage in ("cuml", "gate")]
        await until(lambda: {"cuml", "gate"} < set(server.started))
        hanging.go.set()
        await asyncio.wait_for(asyncio.gather(*asked, *others), SAFETY_S)

    asyncio.run(score())


def test_a_model_that_says_nothing_is_given_up_and_named(calls, stages, hanging, tally, monkeypatch) -> None:
    monkeypatch.setattr(calls, "STAGE_TIMEOUT_S", 0.05)
    with pytest.raises(StageLateError) as caught:
        call(stages, "bert")
    assert str(caught.value) == "bert-large: no answer within 0.05 s"
    assert tally.drain()[STAGE_FAILURES, "bert-large"] == 1


@pytest.mark.parametrize("how", ["timeout", "cancelled"])
def test_a_call_that_was_given_up_keeps_its_place_until_it_really_ends(
    calls, stages, hanging, server, monkeypatch, how: str
) -> None:
    monkeypatch.setattr(calls, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(calls, "STAGE_TIMEOUT_S", 0.05)

    async def score() -> Any:
        if how == "timeout":
            with pytest.raises(StageLateError):
                await ask(stages, "bert")
        else:
            given_up = asyncio.ensure_future(ask(stages, "bert"))
            await until(lambda: hanging.running == 1)
            given_up.cancel()
        with pytest.raises(StageLateError):
            await ask(stages, "bert")
        assert server.started == ["bert-large"]
        hanging.go.set()
        await until(lambda: hanging.running == 0)
        monkeypatch.setattr(calls, "STAGE_TIMEOUT_S", SAFETY_S)
        return await ask(stages, "bert")

    assert asyncio.run(score()).as_numpy() is SCORES
    assert server.started == ["bert-large"] * 2


def test_an_answer_that_comes_after_its_loop_has_ended_harms_nobody(calls, stages, hanging, monkeypatch) -> None:
    monkeypatch.setattr(calls, "STAGE_TIMEOUT_S", 0.05)
    with pytest.raises(StageLateError):
        call(stages, "bert")
    hanging.go.set()
    stages._threads.shutdown(wait=True)


def test_the_graph_of_an_ensemble_is_read_from_the_repository_once(stages, tmp_path) -> None:
    dag = stages.dag("ensemble_all")
    assert [step.model for step in dag.steps] == ["preprocess", "bert-large", "cuml", "postprocess"]
    assert stages.dag("ensemble_all") is dag
