"""One real Triton for the session, on free ports, over the repository as built."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from readability_triton.client.scorer import Scorer
from readability_triton.serving.repository import copy_repository, default_repository
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.pipeline import InProcessPipeline

PIPELINES = ("ensemble_all", "bls_pipeline")


@pytest.fixture(scope="session")
def server() -> Iterator[TritonServer]:
    with running(Options()) as server:
        yield server


@pytest.fixture(scope="session")
def truth() -> InProcessPipeline:
    return InProcessPipeline(default_repository())


@pytest.fixture(scope="session", params=["grpc", "http"])
def url(request: pytest.FixtureRequest, server: TritonServer) -> str:
    return server.grpc_url if request.param == "grpc" else server.http_url


@pytest.fixture(params=PIPELINES)
def scorer(request: pytest.FixtureRequest, url: str) -> Iterator[Scorer]:
    with Scorer(request.param, None, url, batch_size=512) as scorer:
        yield scorer


@pytest.fixture
def own_repository(tmp_path: Path) -> Path:
    """A copy of the repository, artefacts linked, that a test may spoil."""
    return copy_repository(default_repository(), tmp_path / "model_repository")


@pytest.fixture(scope="module")
def modules_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for all tests of a module."""
    return copy_repository(default_repository(), tmp_path_factory.mktemp("module") / "model_repository")


@pytest.fixture(scope="session")
def ask_bls() -> Callable[..., dict[str, np.ndarray]]:
    """Ask `bls_pipeline` in Triton's own terms: what it answered, by name."""

    def ask(
        url: str,
        texts: Sequence[str],
        weights: float | Sequence[float] = 1.0,
        outputs: Sequence[str] | None = None,
        request_id: str = "",
        **parameters: Any,
    ) -> dict[str, np.ndarray]:
        scheme, _, location = url.partition("://")
        library = {"grpc": tritonclient.grpc, "http": tritonclient.http}[scheme]
        excerpt = library.InferInput("excerpt", [len(texts), 1], "BYTES")
        excerpt.set_data_from_numpy(np.array([[text.encode()] for text in texts], dtype=object))
        weight = library.InferInput("BERT_WEIGHT", [len(texts), 1], "FP32")
        weight.set_data_from_numpy(np.broadcast_to(weights, len(texts)).astype(np.float32)[:, None])
        wanted = None if outputs is None else [library.InferRequestedOutput(name) for name in outputs]
        # A client for each request: tritonclient's are not made to be shared between threads.
        with library.InferenceServerClient(location) as client:
            answer = client.infer(
                "bls_pipeline", [excerpt, weight], outputs=wanted, request_id=request_id, parameters=parameters or None
            )
        given = answer.get_response()
        names = (
            [each["name"] for each in given["outputs"]] if scheme == "http" else [each.name for each in given.outputs]
        )
        return {name: answer.as_numpy(name)[:, 0] for name in names}

    return ask
