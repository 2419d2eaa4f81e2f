"""Settings for all tests, and what the tests of the client and of the command line share."""

import itertools
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import settings
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import deserialize_bytes_tensor

from readability_triton.serving.environment import STAGE_DEFAULTS

# Threads that spin while they wait take the cores from the server under test: see docs/serve.md. This must stand before
# any test loads PyTorch.
os.environ.setdefault("GOMP_SPINCOUNT", STAGE_DEFAULTS["GOMP_SPINCOUNT"])

# Of several test processes each takes a core: threads of all would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Small machines are slow at times, and CI must say the same of the same commit twice.
settings.register_profile("unhurried", deadline=None, max_examples=25, derandomize="CI" in os.environ)
settings.load_profile("unhurried")

WORDS = ["".join(parts) for parts in itertools.product("bdfgklmnprst", ("a", "ee", "oi", "u"), ("n", "sk", "rt"))]
PARAMETERS = {"bert_weight": "0.5", "target_quantiles": "0 50 100"}


@pytest.fixture
def made_up_text() -> Callable[..., str]:
    """Write a text of that many words, nine a sentence."""

    def write(n_words: int, seed: int = 0) -> str:
        words = random.Random(seed).choices(WORDS, k=n_words)
        sentences = (" ".join(words[at : at + 9]).capitalize() for at in range(0, n_words, 9))
        return " ".join(f"{sentence}." for sentence in sentences)

    return write


class WireServer(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers over gRPC as Triton does, on a port of its own: a text's score is its bytes, times its blend weight.

    Attributes:
        down: models that are not ready.
        hangs: what hangs until the test ends, of "ModelConfig" and "ModelInfer".
        parameters: in the configuration of every model.
        on_metadata: called with the metadata of every call.
    """

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.down: set[str] = set()
        self.hangs: set[str] = set()
        self.parameters = dict(PARAMETERS)
        self.on_metadata: Callable[[Any], None] = lambda metadata: None
        self.finished = threading.Event()
        self.server = grpc.server(ThreadPoolExecutor(4))
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self.server)
        if credentials:
            self.url = f"grpcs://localhost:{self.server.add_secure_port('localhost:0', credentials)}"
        else:
            self.url = f"grpc://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def ModelConfig(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._hinder("ModelConfig", request.name, context)
        config = model_config_pb2.ModelConfig(name=request.name, max_batch_size=4)
        for key, value in self.parameters.items():
            config.parameters[key].string_value = value
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._hinder("ModelInfer", request.model_name, context)
        texts = deserialize_bytes_tensor(request.raw_input_contents[0]).tolist()
        for row, text in enumerate(texts):
            if b"forbidden" in text:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"row {row}: text is forbidden")
        weights = np.frombuffer(request.raw_input_contents[1], dtype=np.float32)
        scores = weights * np.array([len(text) for text in texts], dtype=np.float32)
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, raw_output_contents=[scores.tobytes()])
        answer.outputs.add(name="SCORE", datatype="FP32", shape=[len(texts), 1])
        return answer

    def _hinder(self, call: str, model: str, context: grpc.ServicerContext) -> None:
        self.on_metadata(context.invocation_metadata())
        if call in self.hangs:
            self.finished.wait(1)
        if model in self.down:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"Request for unknown model: '{model}' is not ready")


@pytest.fixture
def wire() -> Iterator[WireServer]:
    server = WireServer()
    yield server
    server.finished.set()
    server.server.stop(None).wait()


@pytest.fixture
def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
