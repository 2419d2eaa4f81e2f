"""RAPIDS forest inference and its memory, with modules that stand for RAPIDS: what is asked of them."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from readability_triton.stages.device.forest import DeviceForest
from readability_triton.stages.device.memory import POOL_BYTES, share_one_pool


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict]:
    """What RAPIDS was asked for; as in a new process, nothing so far."""
    share_one_pool.cache_clear()
    asked: dict = {"pools": 0}

    class ForestInference:
        @classmethod
        def load(cls, path: str, **options: object) -> "ForestInference":
            asked["forest"] = {"path": path} | options
            return cls()

        def predict(self, features: np.ndarray) -> np.ndarray:
            return features.astype(np.float64).sum(axis=1)

    cuda = SimpleNamespace(
        Device=lambda number: SimpleNamespace(use=lambda: asked.update(device=number)),
        set_allocator=lambda allocator: asked.update(allocator=allocator),
    )
    modules = {
        "cupy": {"asarray": np.asarray, "float32": np.float32, "cuda": cuda},
        "rmm": {"reinitialize": lambda **options: asked.update(pool=options, pools=asked["pools"] + 1)},
        "rmm.allocators": {},
        "rmm.allocators.cupy": {"rmm_cupy_allocator": "RMM's"},
        "cuml": {},
        "cuml.fil": {"ForestInference": ForestInference},
    }
    monkeypatch.setitem(sys.modules, "nvforest", None)  # which makes its import fail, as before RAPIDS 26.04
    for name, attributes in modules.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    yield asked
    share_one_pool.cache_clear()


def test_all_share_one_pool_of_stated_size_on_the_gpu_in_question(asked: dict) -> None:
    assert share_one_pool(3) is sys.modules["cupy"]
    assert asked["device"] == 3
    assert asked["allocator"] == "RMM's"
    assert asked["pool"]["devices"] == [3]
    assert asked["pool"]["pool_allocator"]
    assert asked["pool"]["initial_pool_size"] <= asked["pool"]["maximum_pool_size"] == POOL_BYTES


def test_the_checkpoint_is_read_in_its_own_precision_and_scores_are_a_column(asked: dict) -> None:
    forest = DeviceForest(Path("some") / "checkpoint.tl", 1)
    assert asked["forest"]["path"] == "some/checkpoint.tl"
    assert asked["forest"]["precision"] is None
    assert asked["forest"]["device_id"] == 1
    scores = forest.predict(np.ones((2, 207), np.float32))
    assert scores.dtype == np.float32
    assert scores.tolist() == [[207.0], [207.0]]


def test_nvforest_goes_before_cuml_where_it_is_installed(asked: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forest:
        def predict(self, X: np.ndarray, *, chunk_size: int | None = None) -> np.ndarray:  # noqa: N803
            return X.sum(axis=1, keepdims=True)

    def load_model(  # nvforest 26.04 to 26.08
        model_file: str,
        *,
        model_type=None,
        device="auto",
        layout="depth_first",
        default_chunk_size=None,
        align_bytes=None,
        precision=None,
        device_id=None,
        handle=None,
    ) -> Forest:
        asked["nvforest"] = (model_file, model_type, device, precision, device_id)
        return Forest()

    module = ModuleType("nvforest")
    module.load_model = load_model
    monkeypatch.setitem(sys.modules, "nvforest", module)
    forest = DeviceForest(Path("some") / "checkpoint.tl", 1)
    assert asked["nvforest"] == ("some/checkpoint.tl", "treelite_checkpoint", "gpu", None, 1)
    assert "forest" not in asked
    assert forest.predict(np.ones((2, 207), np.float32)).tolist() == [[207.0], [207.0]]


def test_the_pool_is_set_up_once_in_a_process(asked: dict) -> None:
    assert share_one_pool(0) is share_one_pool(0)
    assert asked["pools"] == 1
