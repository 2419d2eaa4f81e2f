"""A server whose delays are known."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from readability_triton.client.access import Access
from readability_triton.compare.arm import two_arms
from readability_triton.compare.callers import make_target
from readability_triton.compare.client_process import ClientProcess
from readability_triton.compare.connection import open_client
from readability_triton.compare.experiment import Experiment, Outcome, Plan
from readability_triton.compare.workload import of_texts
from readability_triton.serving.server import Options, TritonServer, running

CONFIG = """\
backend: "python"
max_batch_size: 1
input [
  {{ name: "excerpt" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "BERT_WEIGHT" data_type: TYPE_FP32 dims: [ 1 ] }}
]
output [ {{ name: "SCORE" data_type: TYPE_FP32 dims: [ 1 ] }} ]
instance_group [ {{ count: {count} kind: KIND_CPU }} ]
parameters: {{ key: "kind" value: {{ string_value: "{kind}" }} }}
parameters: {{ key: "seconds" value: {{ string_value: "{seconds}" }} }}
parameters: {{ key: "score" value: {{ string_value: "{score}" }} }}
"""
SLEEPERS = {
    "constant_20": ("constant", 0.020, 1.0, 2),
    "constant_26": ("constant", 0.026, 1.0, 2),
    "exponential_15": ("exponential", 0.015, 1.0, 2),
    "single": ("constant", 0.005, 1.0, 1),
    "wrong": ("constant", 0.005, 2.0, 1),
}


@pytest.fixture(scope="session")
def sleepers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository of sleeping models."""
    repository = tmp_path_factory.mktemp("sleepers")
    for name, (kind, seconds, score, count) in SLEEPERS.items():
        (repository / name / "1").mkdir(parents=True)
        config = CONFIG.format(kind=kind, seconds=seconds, score=score, count=count)
        (repository / name / "config.pbtxt").write_text(f'name: "{name}"\n{config}')
        shutil.copy(Path(__file__).parent / "sleeper.py", repository / name / "1" / "model.py")
    return repository


@pytest.fixture(scope="session")
def sleeping(sleepers: Path) -> Iterator[TritonServer]:
    with running(Options(sleepers)) as server:
        yield server


@contextmanager
def no_progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda more: None


Compare = Callable[..., Outcome]


@pytest.fixture(scope="session")
def compare(sleeping: TritonServer) -> Compare:
    """Compare two sleeping models as the command does, without its output."""

    def run(first: str, second: str, plan: Plan, texts: Sequence[str] = ("a text",)) -> Outcome:
        return asyncio.run(_run(sleeping.grpc_url, first, second, plan, texts))

    return run


async def _run(url: str, first: str, second: str, plan: Plan, texts: Sequence[str]) -> Outcome:
    arms = two_arms(first, second)
    workload = of_texts(texts, 1, 0.5, None, "a test")
    targets = [make_target(arm, workload, Path("nowhere")) for arm in arms]
    async with open_client(url, Access()) as client, ClientProcess(targets, url, Access()) as sender:
        return await Experiment(arms, sender, len(texts), client, no_progress).run(plan)
