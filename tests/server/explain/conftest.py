"""A server with an ensemble of three Python models whose delays are known: first → (left, right) → the sum of both."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from readability_triton.client.access import Access
from readability_triton.explain.one_request import Explainer
from readability_triton.serving.control import GRPC_KEY_NAME
from readability_triton.serving.server import Options, TritonServer, running

STEPS = ("first", "left", "right", "last")
TENSOR = '{{ name: "{}" data_type: TYPE_FP32 dims: [ 1 ] }}'
MODEL = 'backend: "python"\nmax_batch_size: 8\ninput [ {inputs} ]\noutput [ {output} ]\n'
MODEL += "instance_group [ {{ count: 1 kind: KIND_CPU }} ]\n"
STEP = 'step {{ model_name: "{model}" model_version: -1 {maps} output_map {{ key: "SUM" value: "{to}" }} }}'


def _maps(**inputs: str) -> str:
    return " ".join(f'input_map {{ key: "{name}" value: "{tensor}" }}' for name, tensor in inputs.items())


@pytest.fixture(scope="session")
def adders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("adders")
    for name in STEPS:
        folder = repository / name / "1"
        folder.mkdir(parents=True)
        (folder / "delay_ms").write_text("3")
        shutil.copy(Path(__file__).with_name("adder.py"), folder / "model.py")
        names = ("A", "B") if name == "last" else ("A",)
        config = MODEL.format(inputs=", ".join(map(TENSOR.format, names)), output=TENSOR.format("SUM"))
        (folder.parent / "config.pbtxt").write_text(f'name: "{name}"\n{config}')
    (repository / "sums" / "1").mkdir(parents=True)
    steps = [
        STEP.format(model="first", maps=_maps(A="X"), to="x"),
        STEP.format(model="left", maps=_maps(A="x"), to="l"),
        STEP.format(model="right", maps=_maps(A="x"), to="r"),
        STEP.format(model="last", maps=_maps(A="l", B="r"), to="Y"),
    ]
    (repository / "sums" / "config.pbtxt").write_text(
        f'name: "sums"\nplatform: "ensemble"\nmax_batch_size: 8\ninput [ {TENSOR.format("X")} ]\n'
        f"output [ {TENSOR.format('Y')} ]\nensemble_scheduling {{ {' '.join(steps)} }}\n"
    )
    return repository


@pytest.fixture(scope="session")
def adding(adders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    traces = tmp_path_factory.mktemp("traces") / "traces.json"
    with running(Options(adders, trace_file=traces, trace_rate=1_000_000_000)) as server:
        yield server


@pytest.fixture
def set_delay(adders: Path) -> Iterator[Callable[[str, float], None]]:
    def set_delay(step: str, ms: float) -> None:
        (adders / step / "1" / "delay_ms").write_text(str(ms))

    yield set_delay
    for step in STEPS:
        set_delay(step, 3)


@pytest.fixture(scope="session")
def key(adding: TritonServer) -> dict[str, str]:
    return {GRPC_KEY_NAME: adding.control.key}


@pytest.fixture
def explainer(adding: TritonServer, key: dict[str, str]) -> Iterator[Explainer]:
    with Explainer(adding.grpc_url, Access(headers=key)) as explainer:
        yield explainer


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    return {"X": np.array([[2.0]], np.float32)}
