"""Find Triton on this machine: on the path, in the official container's place, or in the nvidia-pytriton wheel."""

import importlib.metadata
import importlib.util
import shutil
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from readability_triton.serving.errors import TritonNotFoundError

CONTAINER_EXECUTABLE = Path("/opt/tritonserver/bin/tritonserver")
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
DROP_INS = Path(__file__).parent / "backends"


@dataclass(frozen=True)
class Runtime:
    """A Triton that can be started.

    Attributes:
        origin: where it was found, for people to read.
        executable: the `tritonserver` binary.
        backends: backend name to its folder; `python` is always there.
        stub: the Python backend's stub for this interpreter, or None where the backend has its own.
        libraries: folders that `LD_LIBRARY_PATH` needs.
    """

    origin: str
    executable: Path
    backends: dict[str, Path]
    stub: Path | None = None
    libraries: list[Path] = field(default_factory=list)

    def is_drop_in(self, backend: str) -> bool:
        """Whether `backend` is our drop-in for a native one that this Triton does not have."""
        return self.backends[backend].parent == DROP_INS


def find_runtime() -> Runtime:
    """The first Triton found; an installed `tritonserver` goes before the wheel.

    Raises:
        TritonNotFoundError: if there is none, or the only one cannot work with this interpreter.
    """
    on_path = shutil.which("tritonserver")
    if on_path:
        return _installed(Path(on_path).resolve(), "on the path")
    if CONTAINER_EXECUTABLE.is_file():
        return _installed(CONTAINER_EXECUTABLE, "the official container's")
    wheel = importlib.util.find_spec("pytriton")
    if wheel is not None and wheel.origin is not None:
        return _wheel(Path(wheel.origin).parent)
    raise TritonNotFoundError(
        "no Triton here: `pip install nvidia-pytriton==0.7.0`, put tritonserver on the path, "
        "or use the official container"
    )


def _installed(executable: Path, where: str) -> Runtime:
    folder = executable.parents[1] / "backends"
    if not (folder / "python" / "libtriton_python.so").is_file():
        raise TritonNotFoundError(f"{executable} has no Python backend in {folder}")
    return Runtime(f"tritonserver {where}, {executable}", executable, _with_drop_ins(folder))


def _wheel(package: Path) -> Runtime:
    root = package / "tritonserver"
    stub = root / "python_backend_stubs" / PYTHON_VERSION / "triton_python_backend_stub"
    if not stub.is_file():
        known = sorted(folder.name for folder in stub.parents[1].glob("3.*"))
        raise TritonNotFoundError(
            f"the wheel has Python backend stubs for {', '.join(known)}, not for {PYTHON_VERSION}"
        )
    version = importlib.metadata.version("nvidia-pytriton")
    return Runtime(
        f"the wheel nvidia-pytriton {version}",
        root / "bin" / "tritonserver",
        _with_drop_ins(root / "backends"),
        stub,
        [package.parent / "nvidia_pytriton.libs", libpython_folder()],
    )


def _with_drop_ins(folder: Path) -> dict[str, Path]:
    native = {path.name: path for path in folder.iterdir() if any(path.glob("libtriton_*.so"))}
    drop_ins = {path.name: path for path in DROP_INS.iterdir() if (path / "model.py").is_file()}
    return drop_ins | native


def libpython_folder() -> Path:
    """Where this interpreter's shared library is, which the stub links.

    Raises:
        TritonNotFoundError: if the interpreter was built without one.
    """
    library = f"libpython{PYTHON_VERSION}.so.1.0"
    libdir, multiarch = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("MULTIARCH")
    for folder in (Path(libdir or ""), Path(sys.base_prefix) / "lib", Path("/usr/lib") / (multiarch or "")):
        if (folder / library).is_file():
            return folder
    raise TritonNotFoundError(
        f"{sys.executable} was built without {library}, which Triton's Python backend links: "
        f"use a Python built with --enable-shared, or install the package libpython{PYTHON_VERSION}"
    )
