"""One real Triton for the session, on free ports, over the repository as built."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.scorer import Scorer
from serving.server import DEFAULT_REPOSITORY, Options, TritonServer, running
from stages.pipeline import InProcessPipeline

PIPELINES = ("ensemble_all", "bls_pipeline")


@pytest.fixture(scope="session")
def server() -> Iterator[TritonServer]:
    with running(Options()) as server:
        yield server


@pytest.fixture(scope="session")
def truth() -> InProcessPipeline:
    return InProcessPipeline(DEFAULT_REPOSITORY)


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
    copy = tmp_path / "model_repository"
    for file in DEFAULT_REPOSITORY.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            target = copy / file.relative_to(DEFAULT_REPOSITORY)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix in (".py", ".pbtxt"):
                target.write_bytes(file.read_bytes())
            else:
                target.symlink_to(file)
    return copy
