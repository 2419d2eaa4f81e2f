"""The BLS calls, with a stand-in for the module that only Triton's Python stub has."""

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bls.stages import StageError

IDS = np.arange(6, dtype=np.int64).reshape(2, 3)
MASK = np.ones((2, 3), np.int64)
FEATURES = np.linspace(0, 1, 4, dtype=np.float32).reshape(2, 2)
EXCERPTS = np.array([[b"A hen."], [b"Rain."]], dtype=object)
SCORES = np.array([[0.5], [-1.5]], dtype=np.float32)


class FakeTensor:
    """A tensor on the CPU that speaks DLPack as Triton's does."""

    def __init__(self, name: str, array: NDArray[Any]) -> None:
        self._name, self._array = name, array

    @classmethod
    def from_dlpack(cls, name: str, tensor: Any) -> "FakeTensor":
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
    """Answers every inner request, and remembers it."""

    answer: Callable[[], FakeResponse] = FakeResponse
    requests: list[Any] = field(default_factory=list)

    def module(self) -> ModuleType:
        server = self

        class InferenceRequest:
            def __init__(
                self,
                *,
                model_name: str,
                requested_output_names: list[str],
                inputs: list[FakeTensor],
                preferred_memory: Any = None,
            ) -> None:
                self.model_name, self.requested_output_names, self.inputs = model_name, requested_output_names, inputs
                self.preferred_memory = preferred_memory
                server.requests.append(self)

            async def async_exec(self) -> FakeResponse:
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
def stages(server: FakeServer) -> Iterator[Any]:
    sys.modules.pop("bls.calls", None)
    yield importlib.import_module("bls.calls").TritonStages()
    del sys.modules["bls.calls"]


def call(stages: Any, stage: str) -> Any:
    """Call one stage with tensors that carry the names of the stage before."""
    arguments = {
        "preprocess": [EXCERPTS],
        "bert": [FakeTensor("BERT_IDS", IDS), FakeTensor("BERT_AM", MASK)],
        "cuml": [FakeTensor("TREE_FEATS", FEATURES)],
    }
    return asyncio.run(getattr(stages, stage)(*arguments[stage]))


OUTPUTS = {
    "preprocess": {"TREE_FEATS": FEATURES, "BERT_AM": MASK, "BERT_IDS": IDS},
    "bert": {"OUTPUT__0": SCORES},
    "cuml": {"output__0": SCORES},
}
CONTRACT = {
    "preprocess": ("preprocess", {"INPUT0": EXCERPTS}, ["BERT_IDS", "BERT_AM", "TREE_FEATS"]),
    "bert": ("bert-large", {"INPUT__0": IDS, "INPUT__1": MASK}, ["OUTPUT__0"]),
    "cuml": ("cuml", {"input__0": FEATURES}, ["output__0"]),
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


@pytest.mark.parametrize(("stage", "arrays"), [("bert", [IDS, MASK]), ("cuml", [FEATURES])])
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


@pytest.mark.parametrize("stage", ["bert", "cuml"])
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
