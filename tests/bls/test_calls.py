"""What is asked of Triton and answered to it, with a stand-in for the module that only Triton's Python stub has."""

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from readability_triton.bls.answer import AnswerOnce
from readability_triton.bls.batch import of_cuml
from readability_triton.bls.metrics import QUEUED
from readability_triton.bls.policy import PolicyError
from readability_triton.bls.row_queue import Options
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import REQUESTS
from readability_triton.stages.errors import InvalidRowError

IDS = np.arange(6, dtype=np.int64).reshape(2, 3)
SCORES = np.array([[0.5], [-1.5]], dtype=np.float32)
SAFETY_S = 10


class FakeTensor:
    """A tensor in host memory, or one that says it is on a GPU."""

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self.array = name, array

    @classmethod
    def from_dlpack(cls, name: str, tensor: Any) -> "FakeTensor":
        return cls(name, np.from_dlpack(tensor))

    def name(self) -> str:
        return self._name

    def is_cpu(self) -> bool:
        return True

    def as_numpy(self) -> NDArray[Any]:
        return self.array


class OnDevice:
    """An array that is not NumPy's, as CuPy's are: it speaks DLPack only."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


@dataclass
class FakeResponse:
    output_tensors_: list[FakeTensor] = field(default_factory=list)
    error_: Any = None

    def has_error(self) -> bool:
        return self.error_ is not None

    def error(self) -> SimpleNamespace:
        return SimpleNamespace(message=lambda: self.error_)

    def output_tensors(self) -> list[FakeTensor]:
        return self.output_tensors_


class FakeTritonError(Exception):
    """Stands for `TritonModelException`."""


@dataclass
class FakeServer:
    """Answers every inner request, and remembers it with its options."""

    answer: Callable[[], FakeResponse] = FakeResponse
    requests: list[Any] = field(default_factory=list)

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
                return server.answer()

        class InferenceResponse:
            def __init__(self, tensors: list[FakeTensor] | None = None, error: Any = None) -> None:
                self.tensors, self.error = tensors, error

        class TritonError:
            INVALID_ARG, UNAVAILABLE, INTERNAL, CANCELLED = "invalid", "unavailable", "internal", "cancelled"

            def __init__(self, message: str, code: str) -> None:
                self.message, self.code = message, code

        class MetricFamily:
            COUNTER, GAUGE = "counter", "gauge"

            def __init__(self, **fields: str) -> None:
                self.fields = fields

        fake = ModuleType("triton_python_backend_utils")
        fake.TRITONSERVER_MEMORY_CPU, fake.TRITONSERVER_RESPONSE_COMPLETE_FINAL = "cpu", "final"
        fake.PreferredMemory = lambda kind, device: (kind, device)
        fake.get_input_tensor_by_name = lambda request, name: FakeTensor(name, request.arrays[name])
        fake.Tensor, fake.InferenceRequest, fake.TritonModelException = FakeTensor, InferenceRequest, FakeTritonError
        fake.InferenceResponse, fake.TritonError, fake.MetricFamily = InferenceResponse, TritonError, MetricFamily
        return fake


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


def ask(calls: Any, model: str, inputs: dict[str, Any], outputs: list[str], **options: Any) -> Any:
    call = calls.TritonCalls()(model, inputs, outputs, Options(**options))
    return asyncio.run(asyncio.wait_for(call, SAFETY_S))


def test_a_call_is_one_request_and_gives_outputs_by_name(server: FakeServer, calls) -> None:
    server.answer = lambda: FakeResponse([FakeTensor("B", IDS), FakeTensor("A", SCORES)])
    answer = ask(calls, "some", {"X": IDS, "Y": SCORES}, ["A", "B"])
    (request,) = server.requests
    assert (request.model_name, request.requested_output_names, request.options) == ("some", ["A", "B"], {})
    assert {tensor.name(): tensor.array for tensor in request.inputs}.keys() == {"X", "Y"}
    assert answer["A"] is SCORES
    assert answer["B"] is IDS


def test_arrays_that_are_not_numpys_go_by_dlpack_without_a_copy(server: FakeServer, calls) -> None:
    ask(calls, "some", {"X": OnDevice(IDS)}, ["A"])
    assert np.shares_memory(server.requests[0].inputs[0].array, IDS)


@pytest.mark.parametrize("model", ["bert-large", "cuml"])
def test_scores_are_wanted_on_the_host(server: FakeServer, calls, model: str) -> None:
    ask(calls, model, {"X": IDS}, ["A"])
    assert server.requests[0].options == {"preferred_memory": ("cpu", 0)}


def test_parameters_and_the_time_left_are_passed_on(server: FakeServer, calls) -> None:
    ask(calls, "some", {"X": IDS}, ["A"], parameters=(("tenant", "a"),), timeout_s=1.5)
    assert server.requests[0].options == {"parameters": {"tenant": "a"}, "timeout": 1_500_000}


@pytest.mark.parametrize("how", ["response", "exception"])
@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("[bert-large] Exceeds maximum queue size", StageBusyError),
        ("Request timeout expired", StageLateError),
        ("out of memory", StageError),
    ],
)
def test_an_error_names_the_model_and_has_its_kind(server: FakeServer, calls, how: str, reason: str, kind) -> None:
    def refuse() -> FakeResponse:
        if how == "response":
            return FakeResponse(error_=reason)
        raise FakeTritonError(reason)

    server.answer = refuse
    with pytest.raises(StageError) as caught:
        ask(calls, "bert-large", {"X": IDS}, ["A"])
    assert type(caught.value) is kind
    assert str(caught.value) == f"bert-large: {reason}"


def test_a_model_that_does_not_answer_is_given_up_and_its_late_answer_harms_nobody(
    server: FakeServer, calls, monkeypatch
) -> None:
    go = threading.Event()
    server.answer = lambda: go.wait(SAFETY_S) and FakeResponse()
    monkeypatch.setattr(calls, "STAGE_TIMEOUT_S", 0.05)
    models = calls.TritonCalls()

    async def give_up() -> None:
        with pytest.raises(StageLateError, match=r"^some: no answer within 0.05 s$"):
            await models("some", {"X": IDS}, ["A"])
        go.set()
        await asyncio.to_thread(models._threads.shutdown)

    asyncio.run(give_up())


def test_calls_run_side_by_side(server: FakeServer, calls) -> None:
    everyone = threading.Barrier(5)

    def answer() -> FakeResponse:
        everyone.wait(SAFETY_S)
        return FakeResponse([FakeTensor("A", SCORES)])

    server.answer = answer
    models = calls.TritonCalls()

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(models("some", {"X": IDS}, ["A"]) for _ in range(5)))

    assert len(asyncio.run(all_of_them())) == 5


@pytest.fixture
def triton_request() -> SimpleNamespace:
    arrays = {"excerpt": np.array([[b"A hen."]], dtype=object), "BERT_WEIGHT": np.array([[0.5]], np.float32)}
    sender = SimpleNamespace(sent=[])
    sender.send = lambda response, flags: sender.sent.append((response, flags))
    return SimpleNamespace(
        arrays=arrays,
        parameters=lambda: '{"policy": "deadline", "deadline_ms": 0.5}',
        timeout=lambda: 1_500_000,
        is_cancelled=lambda: True,
        get_response_sender=lambda: sender,
    )


def test_a_request_is_read_with_all_that_bears_on_it(calls, triton_request) -> None:
    request = calls.read_request(triton_request, 7.0)
    assert request.excerpts.tolist() == [[b"A hen."]]
    assert request.weights.tolist() == [[0.5]]
    assert request.parameters == {"policy": "deadline", "deadline_ms": 0.5}
    assert (request.arrived, request.timeout_s) == (7.0, 1.5)
    assert request.is_cancelled()


def test_parameters_may_be_missing(calls, triton_request) -> None:
    triton_request.parameters = lambda: ""
    assert calls.read_request(triton_request, 0.0).parameters == {}


def test_an_answer_has_the_outputs_that_are_wanted(calls) -> None:
    response = calls.response_of(of_cuml(SCORES), ["ROUTE", "SCORE"])
    assert [tensor.name() for tensor in response.tensors] == ["SCORE", "ROUTE"]
    assert response.tensors[0].array is SCORES


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRowError(3, "text is empty"), "invalid"),
        (PolicyError("no policy 'x'"), "invalid"),
        (StageBusyError("queue", "busy"), "unavailable"),
        (StageLateError("cuml", "no answer"), "unavailable"),
        (CancelledRequestError("bls_pipeline", "gone"), "cancelled"),
        (StageError("cuml", "failed"), "internal"),
    ],
    ids=str,
)
def test_an_error_has_its_code_and_message(calls, error: Exception, code: str) -> None:
    response = calls.response_of(error, ["SCORE"])
    assert (response.error.message, response.error.code) == (str(error), code)


def test_an_answer_is_sent_for_good(calls, triton_request) -> None:
    calls.send(triton_request, "the response")
    assert triton_request.get_response_sender().sent == [("the response", "final")]


def test_families_are_counters_or_gauges(calls) -> None:
    assert calls.new_family(REQUESTS, False).fields["kind"] == "counter"
    assert calls.new_family(QUEUED, True).fields == {
        "name": QUEUED.name,
        "description": QUEUED.description,
        "kind": "gauge",
    }


def test_of_many_threads_that_answer_one_request_the_first_does() -> None:
    sent: list[Any] = []
    answer = AnswerOnce(sent.append)
    error = StageError("cuml", "failed")
    threads = [threading.Thread(target=answer.send, args=(error,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent == [error]


def test_nobody_asks_about_the_client_of_a_request_that_is_answered() -> None:
    asked: list[bool] = []
    answer = AnswerOnce(lambda _: None, lambda: bool(asked.append(True)) or True)
    assert answer.is_cancelled()
    answer.send(StageError("cuml", "failed"))
    assert not answer.is_cancelled()
    assert asked == [True]
