"""A Triton that is not there: folders laid out as real ones are, and executables that act like it."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from readability_triton.serving import runtime
from readability_triton.serving.runtime import PYTHON_VERSION, Runtime

READY_SERVER = """\
import http.server, sys
port = next(int(each.partition("=")[2]) for each in sys.argv if each.startswith("--http-port="))
print('I1122 17:57:12.001345 6237 model_lifecycle.cc:839] "successfully loaded \\'cuml\\'"', flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v2/health/ready" else 404)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def make_executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make_backend(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / f"libtriton_{name}.so").write_bytes(b"")
    return folder / name


@pytest.fixture
def no_triton(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide whatever Triton this machine has."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(runtime, "CONTAINER_EXECUTABLE", tmp_path / "nothing" / "tritonserver")
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Path]:
    """Lay out an installed Triton with some native backends; gives its executable."""

    def lay_out(name: str, *backends: str) -> Path:
        for backend in backends:
            make_backend(tmp_path / name / "backends", backend)
        return make_executable(tmp_path / name / "bin" / "tritonserver", "#!/bin/sh\n")

    return lay_out


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_triton: None) -> Callable[..., Path]:
    """Lay out and "install" a wheel with stubs for some versions of Python; gives its tritonserver folder."""

    def install(*versions: str) -> Path:
        package = tmp_path / "site-packages" / "pytriton"
        for version in versions:
            stub = package / "tritonserver" / "python_backend_stubs" / version / "triton_python_backend_stub"
            make_executable(stub, "the stub")
        (make_backend(package / "tritonserver" / "backends", "python") / "triton_python_backend_utils.py").touch()
        make_executable(package / "tritonserver" / "bin" / "tritonserver", "#!/bin/sh\n")
        spec = runtime.importlib.machinery.ModuleSpec("pytriton", None, origin=str(package / "__init__.py"))
        monkeypatch.setattr(runtime.importlib.util, "find_spec", {"pytriton": spec}.get)
        monkeypatch.setattr(runtime.importlib.metadata, "version", {"nvidia-pytriton": "0.7.0"}.get)
        return package / "tritonserver"

    return install


@pytest.fixture
def shared_libpython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter built with a shared library, in this folder."""
    folder = tmp_path / "python" / "lib"
    folder.mkdir(parents=True)
    (folder / f"libpython{PYTHON_VERSION}.so.1.0").touch()
    monkeypatch.setattr(runtime.sysconfig, "get_config_var", {"LIBDIR": str(folder)}.get)
    return folder


@pytest.fixture
def fake_runtime(tmp_path: Path) -> Callable[[str], Runtime]:
    """A runtime without backends whose executable is a script: Python, or shell where it says so."""

    def runtime_of(script: str) -> Runtime:
        shebang = "" if script.startswith("#!") else f"#!{sys.executable}\n"
        return Runtime("a test", make_executable(tmp_path / "fake" / "bin" / "tritonserver", shebang + script), {})

    return runtime_of


@pytest.fixture
def ready_server(fake_runtime: Callable[[str], Runtime]) -> Runtime:
    return fake_runtime(READY_SERVER)


@pytest.fixture
def start_stub(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a child of this process that looks like a stub for a model of a repository, and does nothing."""
    started = []

    def start(model: str, instance: str | None = None) -> subprocess.Popen:
        file = tmp_path / "models" / model / "1" / "model.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():  # A stub that is starting may be about to read it: while it is rewritten, it is empty.
            file.write_text("import time\ntime.sleep(600)\n")
        name = instance or f"{model}_0_0"
        between = ["region", "1048576", "1048576", str(os.getpid()), "/backends/python", "336"]
        arguments = ["/backends/python/triton_python_backend_stub", str(file), *between, name, "DEFAULT"]
        started.append(subprocess.Popen(arguments, executable=sys.executable))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


class FakeTensor:
    """A tensor as Triton's Python backend hands it over: NumPy or PyTorch inside, either way out."""

    def __init__(self, name: str, values: np.ndarray | torch.Tensor) -> None:
        self.name = name
        self.values = values

    def is_cpu(self) -> bool:
        return True

    def as_numpy(self) -> np.ndarray:
        return np.asarray(self.values)

    def to_dlpack(self):
        return torch.as_tensor(self.values).__dlpack__()

    @classmethod
    def from_dlpack(cls, name: str, tensor) -> "FakeTensor":
        return cls(name, torch.from_dlpack(tensor))


class FakeResponse:
    """An answer, its output tensors by name."""

    def __init__(self, output_tensors: list[FakeTensor] | None = None, error: Any = None) -> None:
        self.tensors = {tensor.name: tensor.values for tensor in output_tensors or []}
        self.error = error


class FakeTritonModelError(Exception):
    pass


@pytest.fixture(scope="module")
def pb_utils() -> Iterator[ModuleType]:
    """The module that only exists inside Triton. A request is a dict of tensors by name."""
    module = ModuleType("triton_python_backend_utils")
    module.Tensor = FakeTensor
    module.InferenceResponse = FakeResponse
    module.TritonModelException = FakeTritonModelError
    module.TritonError = lambda message: SimpleNamespace(message=message)
    module.TRITONSERVER_RESPONSE_COMPLETE_FINAL = "final"
    module.Logger = SimpleNamespace(log_warn=lambda line: None)
    module.get_input_tensor_by_name = lambda request, name: FakeTensor(name, request[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        yield module


@pytest.fixture(scope="module")
def load_backend(pb_utils: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Initialise a drop-in backend's model as Triton would: `save` writes the artefact to the path that it is given."""

    def load(backend: str, config: dict[str, Any], save: Callable[[Path], None], file: str) -> Any:
        spec = importlib.util.spec_from_file_location(f"drop_in_{backend}", runtime.DROP_INS / backend / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        repository = tmp_path_factory.mktemp(backend)
        (repository / "7").mkdir()
        save(repository / "7" / file)
        parameters = {key: {"string_value": value} for key, value in config.get("parameters", {}).items()}
        model = module.TritonPythonModel()
        model.initialize(
            {
                "model_config": json.dumps({"default_model_filename": ""} | config | {"parameters": parameters}),
                "model_name": "some",
                "model_repository": str(repository),
                "model_version": "7",
                "model_instance_kind": "CPU",
                "model_instance_device_id": "0",
            }
        )
        return model

    return load
