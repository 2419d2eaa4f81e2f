"""What tests on a GPU share. Where a requirement is missing they are skipped, with the reason, or refused."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from readability_triton.cli.samples import sample_passages
from readability_triton.serving.gpu import missing_requirements
from readability_triton.serving.placement import Placement
from readability_triton.serving.repository import default_repository
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.stages.prepared import FEATURES, TOKENIZER
from readability_triton.stages.tokens import load_tokenizer

PREPROCESS = default_repository() / "preprocess" / "1"
CLEAR = Path(__file__).parents[3] / "shared" / "clear" / "train.csv"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-gpu", action="store_true", help="fail where a requirement of tests/gpu is missing")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = missing_requirements(default_repository())
    if missing and config.getoption("--require-gpu", default=False):
        raise pytest.UsageError("; ".join(missing))
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if missing:
                item.add_marker(pytest.mark.skip(reason="; ".join(missing)))


@pytest.fixture(scope="session")
def preprocess_folder() -> Path:
    return PREPROCESS


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return load_tokenizer(PREPROCESS / TOKENIZER)


@pytest.fixture(scope="session")
def spec() -> FeatureSpec:
    return FeatureSpec.load(PREPROCESS / FEATURES)


@pytest.fixture(scope="session")
def truth() -> InProcessPipeline:
    """The CPU's answers, which are right by definition."""
    return InProcessPipeline(default_repository())


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Every training excerpt where they are at hand, else the sample passages."""
    if not CLEAR.exists():
        return list(sample_passages().values())
    with CLEAR.open(encoding="utf-8", newline="") as file:
        return [row["excerpt"] for row in csv.DictReader(file)]


@pytest.fixture(scope="session")
def gpu_server() -> Iterator[TritonServer]:
    with running(Options(default_repository(), Placement.GPU)) as server:
        yield server
