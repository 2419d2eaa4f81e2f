"""A transport that answers by itself: a text's score is its number of bytes, times its blend weight."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.scorer import Scorer
from readability_triton.client.transports.transport import InferRequest
from readability_triton.stages.interval import IntervalTable
from tests.client.http_wire import HttpWire
from tests.conftest import WireServer


class FakeClient:
    """Takes the place of a transport, however many a scorer opens.

    Attributes:
        refuse: given a model and its texts, the error to raise, or None to answer.
        infers: model, texts, weights and time limit of each inference, in order.
        request_ids: of each inference.
        requested: model, outputs and parameters of each, in order.
        tells_details: models that have more to say than scores.
        described: models whose configuration was requested, in order.
        outputs: of each model, those that its configuration lists.
        routing: given the texts of a request, the route of each and whether it is degraded; None for `FakeAnswer`'s.
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.max_batch_size = 4
        self.parameters = {"bert_weight": "0.5", "target_quantiles": "0 50 100"}
        self.refuse: Callable[[str, list[bytes]], Exception | None] = lambda model, texts: None
        self.refuse_to_describe: Callable[[str], Exception | None] = lambda model: None
        self.infers: list[tuple[str, list[bytes], list[float], float]] = []
        self.request_ids: list[str] = []
        self.requested: list[tuple[str, list[str], dict[str, Any] | None]] = []
        self.tells_details = {"bls_pipeline"}
        self.described: list[str] = []
        self.outputs: dict[str, list[str]] = {}
        self.routing: Callable[[list[bytes]], tuple[list[str], list[bool]]] | None = None
        self.closed = False

    def model_config(self, model: str, timeout_s: float) -> dict[str, Any]:
        self.described.append(model)
        if error := self.refuse_to_describe(model):
            raise error
        parameters = {key: {"string_value": value} for key, value in self.parameters.items()}
        outputs = [{"name": name} for name in self.outputs.get(model, [])]
        return {"name": model, "max_batch_size": self.max_batch_size, "parameters": parameters, "output": outputs}

    def infer(self, request: InferRequest, timeout_s: float) -> "FakeAnswer":
        model, names = request.model, list(request.outputs)
        assert model in self.tells_details or names == ["SCORE"]
        self.requested.append((model, names, dict(request.parameters) or None))
        self.request_ids.append(request.request_id)
        texts, weights = request.inputs["excerpt"][:, 0].tolist(), request.inputs["BERT_WEIGHT"]
        assert weights.dtype == np.float32
        assert [each.shape for each in request.inputs.values()] == [(len(texts), 1)] * 2
        self.infers.append((model, texts, weights[:, 0].tolist(), timeout_s))
        if error := self.refuse(model, texts):
            raise error
        scores = weights[:, 0] * np.array([len(text) for text in texts], dtype=np.float32)
        return FakeAnswer(scores, names, self.routing(texts) if self.routing else None)

    def close(self) -> None:
        self.closed = True


class FakeAnswer:
    """The route of a text is its score in words, and every other one is degraded, unless `routing` says otherwise.

    A text with a score below 5 is short.
    """

    def __init__(self, scores: np.ndarray, names: list[str], routing: tuple[list[str], list[bool]] | None) -> None:
        self.scores, self.names = scores.reshape(-1, 1), names
        self.routes, self.degraded = routing or (
            [str(score) for score in scores],
            [row % 2 == 1 for row in range(len(scores))],
        )

    def as_numpy(self, name: str) -> np.ndarray | None:
        tensors = {
            "SCORE": self.scores,
            "BERT_SCORE": self.scores + 1,
            "CUML_SCORE": self.scores + 2,
            "ROUTE": np.array([route.encode() for route in self.routes], dtype=object).reshape(-1, 1),
            "FLAGS": np.array([b"short" if score < 5 else b"" for score in self.scores[:, 0]], object).reshape(-1, 1),
            "DEGRADED": np.array(self.degraded, dtype=np.bool_).reshape(-1, 1),
        }
        return tensors[name] if name in self.names else None


class AsyncFakeClient:
    """A `FakeClient` behind coroutines."""

    def __init__(self, fake: FakeClient) -> None:
        self.fake = fake

    async def model_config(self, model: str, timeout_s: float) -> dict[str, Any]:
        return self.fake.model_config(model, timeout_s)

    async def infer(self, request: InferRequest, timeout_s: float) -> FakeAnswer:
        return self.fake.infer(request, timeout_s)

    async def close(self) -> None:
        self.fake.close()


TABLE = IntervalTable(0.9, 215, [3], [[], []], [[-2.0], [-1.0]], [[3.0], [1.5]])
"""Texts of one or two words have wider intervals."""


@pytest.fixture
def calibrated(fake: FakeClient) -> FakeClient:
    """Both models have intervals and levels; `bls_pipeline` reports routes, all of both scorers until changed."""
    fake.parameters |= {"interval": TABLE.to_text(), "level_line": "6.0 -0.5 0.49"}
    fake.outputs = {"bls_pipeline": ["SCORE", "ROUTE", "DEGRADED"], "ensemble_all": ["SCORE"]}
    fake.routing = lambda texts: (["bert-large+cuml"] * len(texts), [False] * len(texts))
    return fake


@pytest.fixture(params=["grpc", "http"])
def fake(request: pytest.FixtureRequest) -> FakeClient:
    return FakeClient(request.param)


@pytest.fixture
def scorer(fake: FakeClient) -> Callable[..., Scorer]:
    """Make a scorer that asks `fake`."""

    class ScorerOfFake(Scorer):
        TRANSPORTS: ClassVar = dict.fromkeys((True, False), lambda *address: fake)

    def make(**options: Any) -> Scorer:
        return ScorerOfFake(url=f"{fake.scheme}://localhost:1", **options)

    return make


@pytest.fixture
def async_scorer(fake: FakeClient) -> Callable[..., AsyncScorer]:
    """Make an asynchronous scorer that asks `fake`."""

    class AsyncScorerOfFake(AsyncScorer):
        TRANSPORTS: ClassVar = dict.fromkeys((True, False), lambda *address: AsyncFakeClient(fake))

    def make(**options: Any) -> AsyncScorer:
        return AsyncScorerOfFake(url=f"{fake.scheme}://localhost:1", **options)

    return make


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def http_wire() -> Iterator[HttpWire]:
    """A server of HTTP."""
    server = HttpWire()
    yield server
    server.stop()


@pytest.fixture(params=["grpc", "http"])
def any_wire(request: pytest.FixtureRequest) -> WireServer | HttpWire:
    """A server of each protocol, which answer alike."""
    return request.getfixturevalue("wire" if request.param == "grpc" else "http_wire")
