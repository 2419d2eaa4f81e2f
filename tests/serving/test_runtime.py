import os
import sys

import pytest

from readability_triton.serving import runtime
from readability_triton.serving.errors import TritonNotFoundError
from readability_triton.serving.runtime import DROP_INS, PYTHON_VERSION, find_runtime

pytestmark = pytest.mark.usefixtures("no_triton")


def put_on_path(monkeypatch, executable):
    monkeypatch.setenv("PATH", f"/nowhere{os.pathsep}{executable.parent}")


def test_a_server_on_the_path_wins_over_the_container_and_the_wheel(monkeypatch, installed, wheel, shared_libpython):
    on_path, container = installed("path", "python"), installed("container", "python")
    wheel(PYTHON_VERSION)
    put_on_path(monkeypatch, on_path)
    monkeypatch.setattr(runtime, "CONTAINER_EXECUTABLE", container)
    found = find_runtime()
    assert found.executable == on_path
    assert "on the path" in found.origin
    assert str(on_path) in found.origin


def test_the_container_wins_over_the_wheel(monkeypatch, installed, wheel, shared_libpython):
    container = installed("container", "python")
    wheel(PYTHON_VERSION)
    monkeypatch.setattr(runtime, "CONTAINER_EXECUTABLE", container)
    found = find_runtime()
    assert found.executable == container
    assert "container" in found.origin


def test_a_link_on_the_path_leads_to_the_backends_beside_the_real_server(monkeypatch, tmp_path, installed):
    real = installed("real", "python")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "tritonserver").symlink_to(real)
    put_on_path(monkeypatch, tmp_path / "links" / "tritonserver")
    assert find_runtime().backends["python"] == real.parents[1] / "backends" / "python"


def test_a_server_without_the_python_backend_is_refused(monkeypatch, installed):
    put_on_path(monkeypatch, installed("path", "pytorch"))
    with pytest.raises(TritonNotFoundError, match="has no Python backend in"):
        find_runtime()


def test_native_backends_go_before_the_drop_ins(monkeypatch, installed):
    executable = installed("path", "python", "pytorch", "onnxruntime")
    put_on_path(monkeypatch, executable)
    found = find_runtime()
    assert {name for name in found.backends if found.is_drop_in(name)} == {"fil"}
    assert found.backends["fil"] == DROP_INS / "fil"
    assert found.backends["pytorch"] == executable.parents[1] / "backends" / "pytorch"
    assert found.stub is None
    assert found.libraries == []


def test_a_backend_folder_without_its_library_is_no_backend(monkeypatch, installed):
    executable = installed("path", "python")
    (executable.parents[1] / "backends" / "fil").mkdir()
    put_on_path(monkeypatch, executable)
    assert find_runtime().is_drop_in("fil")


def test_the_wheel_brings_the_stub_of_this_interpreter_and_both_drop_ins(wheel, shared_libpython):
    root = wheel("3.8", PYTHON_VERSION)
    found = find_runtime()
    assert found.origin == "the wheel nvidia-pytriton 0.7.0"
    assert found.executable == root / "bin" / "tritonserver"
    assert found.stub == root / "python_backend_stubs" / PYTHON_VERSION / "triton_python_backend_stub"
    assert {name: found.is_drop_in(name) for name in found.backends} == {"python": False, "pytorch": True, "fil": True}
    assert found.libraries == [root.parents[1] / "nvidia_pytriton.libs", shared_libpython]


def test_a_wheel_without_the_stub_of_this_interpreter_says_which_it_has(wheel):
    wheel("3.6", "3.7")
    with pytest.raises(TritonNotFoundError, match=rf"stubs for 3\.6, 3\.7, not for {PYTHON_VERSION}"):
        find_runtime()


def test_an_interpreter_without_a_shared_library_says_what_to_use(wheel, monkeypatch, tmp_path):
    wheel(PYTHON_VERSION)
    monkeypatch.setattr(runtime.sysconfig, "get_config_var", lambda name: "no-such-folder")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    with pytest.raises(TritonNotFoundError, match="--enable-shared, or install the package libpython"):
        find_runtime()


def test_a_shared_library_in_the_base_prefix_is_found_too(wheel, monkeypatch, tmp_path):
    wheel(PYTHON_VERSION)
    monkeypatch.setattr(runtime.sysconfig, "get_config_var", lambda name: None)
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / f"libpython{PYTHON_VERSION}.so.1.0").touch()
    assert find_runtime().libraries[-1] == tmp_path / "lib"


def test_without_any_triton_every_way_to_get_one_is_named():
    with pytest.raises(TritonNotFoundError, match=r"pip install nvidia-pytriton.*on the path.*official container"):
        find_runtime()
