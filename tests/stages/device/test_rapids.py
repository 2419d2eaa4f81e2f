"""What is asked of CuPy, RMM, cuDF, nvForest and cuML, against these packages themselves where they are installed."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
import treelite
from sklearn.ensemble import RandomForestRegressor

from readability_triton.stages.device import tokens
from readability_triton.stages.device.memory import POOL_BYTES

SOURCES = sorted(Path(tokens.__file__).parent.glob("*.py"))


def asked_of(name: str) -> set[str]:
    """The attributes that the device's code takes of a module or of what stands for one."""
    nodes = [node for source in SOURCES for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))]
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    return {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == name}


def installed(name: str):
    return pytest.importorskip(name, reason=f"{name} is not installed: it comes with .[gpu]", exc_type=ImportError)


def test_cupy_has_every_function_that_the_array_code_calls() -> None:
    names = asked_of("xp")
    assert {"bincount", "unique", "searchsorted"} <= names
    cupy = installed("cupy")
    assert not {name for name in names if not hasattr(cupy, name)}


def test_cupys_functions_take_what_they_are_given() -> None:
    cupy = installed("cupy")
    inspect.signature(cupy.bincount).bind([], [], 3)
    inspect.signature(cupy.unique).bind([], return_index=True, return_counts=True)
    inspect.signature(cupy.cumsum).bind([], dtype=int, out=[])
    inspect.signature(cupy.searchsorted).bind([], [], side="right")


def test_rmm_takes_a_bounded_pool() -> None:
    reinitialize = installed("rmm").reinitialize
    options = {"pool_allocator": True, "initial_pool_size": POOL_BYTES // 8, "maximum_pool_size": POOL_BYTES}
    inspect.signature(reinitialize).bind(**options, devices=[0])
    assert callable(importlib.import_module("rmm.allocators.cupy").rmm_cupy_allocator)


def test_cudf_has_the_normalizer_and_the_wordpiece_tokenizer() -> None:
    installed("cudf")
    normalizer = importlib.import_module("cudf.core.character_normalizer").CharacterNormalizer
    vocabulary = importlib.import_module("cudf.core.wordpiece_tokenize").WordPieceVocabulary
    inspect.signature(normalizer).bind(do_lower=True)
    inspect.signature(normalizer.normalize).bind(None, None)
    inspect.signature(vocabulary).bind(None)
    inspect.signature(vocabulary.tokenize).bind(None, None)


def test_nvforest_loads_a_checkpoint_as_it_is_asked_to() -> None:
    load = installed("nvforest").load_model
    inspect.signature(load).bind(
        "checkpoint.tl", model_type="treelite_checkpoint", device="gpu", precision=None, device_id=0
    )


def test_cuml_loads_a_checkpoint_as_it_is_asked_to() -> None:
    load = installed("cuml.fil").ForestInference.load
    options = {"precision": None, "model_type": "treelite_checkpoint", "output_type": "cupy", "device_id": 0}
    inspect.signature(load).bind("checkpoint.tl", **options)


def test_cuml_reads_a_forest_of_the_treelite_that_writes_ours(tmp_path: Path) -> None:
    """Its own Treelite is an older one. Reading needs no GPU, predicting does."""
    fil = installed("cuml.fil")
    rows, targets = [[0.0, 1.0], [1.0, 0.0]] * 4, [0.0, 1.0] * 4
    forest = RandomForestRegressor(7, max_depth=3, random_state=0).fit(rows, targets)
    treelite.sklearn.import_model(forest).serialize(str(tmp_path / "checkpoint.tl"))
    with fil.set_fil_device_type("cpu"):
        read = fil.ForestInference.load(
            str(tmp_path / "checkpoint.tl"), precision=None, model_type="treelite_checkpoint"
        ).forest
        assert (read.num_trees(), read.num_outputs(), read.num_features()) == (7, 1, 2)
