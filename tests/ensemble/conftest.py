"""The project's own models."""

from pathlib import Path

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.config import read_repository


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[2] / "model_repository"


@pytest.fixture(scope="session")
def models(repository: Path) -> dict[str, ModelConfig]:
    return read_repository(repository)
