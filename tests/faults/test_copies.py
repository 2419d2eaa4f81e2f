"""Copies of the repository, and models in them that can hang or fail."""

import importlib.util
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from readability_triton.faults.copies import HANG, RAISE, rename_copy, set_parameter, set_traps, trap
from readability_triton.serving.repository import copy_repository

ORIGINAL = """
class TritonPythonModel:
    def initialize(self, args):
        self.config = args["model_config"]

    def execute(self, requests):
        return [request * 2 for request in requests]
"""
ARGS = {"model_config": '{"default_model_filename": "model.py", "max_batch_size": 8}', "model_version": "1"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for model, backend in (("stage", "python"), ("forest", "fil")):
        (folder / model / "1" / "__pycache__").mkdir(parents=True)
        (folder / model / "config.pbtxt").write_text(f'name: "{model}"\nbackend: "{backend}"\n')
        (folder / model / "1" / "artefact.bin").write_bytes(b"weights")
    (folder / "stage" / "1" / "model.py").write_text(ORIGINAL)
    (folder / "stage" / "1" / "__pycache__" / "model.pyc").write_bytes(b"stale")
    return folder


def trapped(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Any]:
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", SimpleNamespace())
    copy = copy_repository(repository, tmp_path / "copy")
    set_traps(copy, ["stage"])
    spec = importlib.util.spec_from_file_location("trapped", copy / "stage" / "1" / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.TritonPythonModel()
    model.initialize(ARGS | {"model_repository": str(copy / "stage")})
    return copy, model


def test_code_is_copied_and_artefacts_are_linked(repository: Path, tmp_path: Path) -> None:
    copy = copy_repository(repository, tmp_path / "copy")
    assert not (copy / "stage" / "1" / "model.py").is_symlink()
    assert (copy / "stage" / "1" / "artefact.bin").resolve() == repository / "stage" / "1" / "artefact.bin"
    assert not (copy / "stage" / "1" / "__pycache__").exists()


def test_a_model_of_another_backend_is_served_by_its_drop_in(repository: Path, tmp_path: Path) -> None:
    copy = copy_repository(repository, tmp_path / "copy")
    set_traps(copy, ["forest"])
    assert 'backend: "python"' in (copy / "forest" / "config.pbtxt").read_text()
    assert "treelite" in (copy / "forest" / "1" / "original.py").read_text().lower()
    assert 'backend: "fil"' in (repository / "forest" / "config.pbtxt").read_text()


def test_a_model_can_be_served_under_another_name_too(repository: Path, tmp_path: Path) -> None:
    copy = copy_repository(repository, tmp_path / "copy")
    rename_copy(copy, "stage", "other")
    assert 'name: "other"' in (copy / "other" / "config.pbtxt").read_text()
    assert (copy / "other" / "1" / "model.py").read_text() == ORIGINAL


def test_a_trapped_model_does_what_the_original_does(repository, tmp_path, monkeypatch) -> None:
    _, model = trapped(repository, tmp_path, monkeypatch)
    assert model.execute([1, 2]) == [2, 4]
    assert '"default_model_filename": ""' in model.original.config


def test_it_fails_while_its_file_exists(repository, tmp_path, monkeypatch) -> None:
    copy, model = trapped(repository, tmp_path, monkeypatch)
    file = trap(copy, "stage", RAISE)
    file.touch()
    with pytest.raises(RuntimeError, match="set to fail"):
        model.execute([1])
    file.unlink()
    assert model.execute([1]) == [2]


def test_it_hangs_while_its_file_exists(repository, tmp_path, monkeypatch) -> None:
    copy, model = trapped(repository, tmp_path, monkeypatch)
    file = trap(copy, "stage", HANG)
    file.touch()
    answers = []
    asked = threading.Thread(target=lambda: answers.append(model.execute([1])))
    asked.start()
    asked.join(0.2)
    assert asked.is_alive()
    file.unlink()
    asked.join(5)
    assert answers == [[2]]


def test_a_parameter_of_a_copy_is_changed_and_nothing_else(tmp_path: Path) -> None:
    config = tmp_path / "model" / "config.pbtxt"
    config.parent.mkdir()
    config.write_text('a: 1\nparameters: { key: "x" value: { string_value: "10" } }\nb: "x"\n')
    set_parameter(tmp_path, "model", "x", "2")
    assert config.read_text() == 'a: 1\nparameters: { key: "x" value: { string_value: "2" } }\nb: "x"\n'
    with pytest.raises(AssertionError, match="no parameter y"):
        set_parameter(tmp_path, "model", "y", "2")
