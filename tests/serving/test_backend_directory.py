import os
from dataclasses import replace

import pytest

from readability_triton.serving.backend_directory import lay_out
from readability_triton.serving.runtime import PYTHON_VERSION, find_runtime


@pytest.fixture
def from_wheel(wheel, shared_libpython):
    wheel(PYTHON_VERSION)
    return find_runtime()


def test_the_wheels_python_backend_is_copied_and_gets_the_stub(from_wheel, tmp_path):
    folder = lay_out(from_wheel, tmp_path / "laid-out")
    python = folder / "python"
    assert folder == tmp_path / "laid-out"
    assert not any(path.is_symlink() for path in (python, *python.iterdir()))
    assert {path.name for path in python.iterdir()} == {
        "libtriton_python.so",
        "triton_python_backend_utils.py",
        "triton_python_backend_stub",
    }
    assert (python / "triton_python_backend_stub").read_text() == "the stub"
    assert os.access(python / "triton_python_backend_stub", os.X_OK)


@pytest.mark.parametrize("name", ["pytorch", "fil"])
def test_drop_ins_are_copied_without_compiled_leftovers(from_wheel, tmp_path, name):
    folder = lay_out(from_wheel, tmp_path / "laid-out")
    assert (folder / name / "model.py").read_bytes() == (from_wheel.backends[name] / "model.py").read_bytes()
    assert not (folder / name).is_symlink()
    assert not list(folder.rglob("__pycache__"))


def test_native_backends_are_linked_as_whole_folders(from_wheel, installed, tmp_path):
    backends = installed("elsewhere", "pytorch", "onnxruntime").parents[1] / "backends"
    native = {name: backends / name for name in ("pytorch", "onnxruntime")}
    folder = lay_out(replace(from_wheel, backends=from_wheel.backends | native), tmp_path / "laid-out")
    for name, source in native.items():
        assert (folder / name).is_symlink()
        assert (folder / name).resolve() == source
    assert not (folder / "fil").is_symlink()


def test_a_triton_with_only_native_backends_is_laid_out_in_a_folder_that_is_not_there_yet(
    no_triton, monkeypatch, installed, tmp_path
):
    executable = installed("container", "python", "pytorch", "fil")
    monkeypatch.setenv("PATH", str(executable.parent))
    folder = lay_out(find_runtime(), tmp_path / "new" / "backends")
    assert {path.name for path in folder.iterdir()} == {"python", "pytorch", "fil"}
    assert (folder / "fil" / "libtriton_fil.so").is_file()
