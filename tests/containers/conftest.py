"""A small model repository in which nothing is wrong for a release, to plant faults in."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PYTHON = """backend: "python" max_batch_size: 8
input [ { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "FEATURES" data_type: TYPE_FP32 dims: [ 5 ] } ]
"""
FIL = """backend: "fil" max_batch_size: 8
input [ { name: "input__0" data_type: TYPE_FP32 dims: [ 5 ] } ]
output [ { name: "output__0" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ 1 ] } } ]
parameters: { key: "model_type" value: { string_value: "treelite_checkpoint" } }
parameters: { key: "output_class" value: { string_value: "false" } }
parameters: { key: "is_classifier" value: { string_value: "false" } }
parameters: { key: "cpu_nthread" value: { string_value: "1" } }
"""
PYTORCH = """backend: "pytorch" max_batch_size: 8
input [ { name: "INPUT__0" data_type: TYPE_FP32 dims: [ 5 ] } ]
output [ { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 1 ] } ]
parameters: { key: "INFERENCE_MODE" value: { string_value: "true" } }
"""
ENSEMBLE = """platform: "ensemble" max_batch_size: 8
input [ { name: "text" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "score" data_type: TYPE_FP32 dims: [ 1 ] } ]
ensemble_scheduling { step [
  { model_name: "features" model_version: -1 input_map { key: "TEXT" value: "text" }
    output_map { key: "FEATURES" value: "features" } },
  { model_name: "forest" model_version: -1 input_map { key: "input__0" value: "features" }
    output_map { key: "output__0" value: "score" } } ] }
"""
MODEL = """import json
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return []
"""


def checkpoint(n_features: int = 5, version: tuple[int, int, int] = (4, 8, 1)) -> bytes:
    """The beginning of a Treelite checkpoint."""
    return struct.pack("<3iBBQi", *version, 3, 3, 100, n_features) + bytes(64)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, config in {"features": PYTHON, "forest": FIL, "encoder": PYTORCH, "all": ENSEMBLE}.items():
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(config)
    (tmp_path / "features" / "1" / "model.py").write_text(MODEL)
    (tmp_path / "forest" / "1" / "checkpoint.tl").write_bytes(checkpoint())
    with zipfile.ZipFile(tmp_path / "encoder" / "1" / "model.pt", "w") as archive:
        archive.writestr("model/version", "10")
    return tmp_path


@pytest.fixture
def spoil(repository: Path) -> Callable[[str, str, str], None]:
    """Replace text in a model's configuration; the empty text stands for its end."""

    def replace(model: str, old: str, new: str) -> None:
        config = repository / model / "config.pbtxt"
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new) if old else text + new + "\n")

    return replace
