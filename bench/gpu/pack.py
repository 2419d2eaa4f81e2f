"""Fetch what `measure` needs on a machine without a network, and cut it into pieces.

Run where there is a network, in a checkout; Python 3.11 or 3.12, and nothing installed. With a Python 3.12 that has a
shared library, that Python is packed too, for a machine whose own has none (Triton's Python backend links it).
"""

import argparse
import importlib.metadata
import shutil
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from readability_triton.bench.gpu import wheels
from readability_triton.bench.gpu.pieces import PIECE_BYTES, PiecesError, archives, cut
from readability_triton.bench.gpu.stages import BASE, INTERPRETER, PYTHON_ARCHIVE, RAPIDS, TORCH
from readability_triton.bench.gpu.wheels import Versions, WheelsError

ROOT = Path(__file__).resolve().parents[2]
NOT_CARRIED = ("torch", "mypy", "mypy-extensions", "librt", "ast-serialize", "ruff", "pytest-xdist", "execnet")
"""Of the lock: PyTorch is an archive of its own; the others check code."""

NOT_CONSTRAINED = ("pandas", "torch")
"""Of the lock: cuDF wants an older pandas."""

ONLY_TO_FIT = "cuml"
"""Of the extra `gpu`: fits forests; serving needs nvForest only, which is a tenth of its size."""

NOT_OF_PYTHON = shutil.ignore_patterns(
    "__pycache__", "test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "config-*", "site-packages"
)


def main(arguments: list[str] | None = None) -> int:
    """The command; gives its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m readability_triton.bench.gpu.pack",
        description="Fetch wheels for a machine without a network, and cut them into pieces.",
        epilog="On that machine: python3 -m pip freeze > machine.txt; then, here: "
        "python3.12 -m readability_triton.bench.gpu.pack build/gpu-pieces --have machine.txt",
    )
    parser.add_argument("folder", type=Path, help="where the pieces go")
    parser.add_argument(
        "--have",
        type=Path,
        metavar="FILE",
        help="that machine's `pip freeze`: its PyTorch with CUDA 13 is used, and what it has is not fetched",
    )
    parser.add_argument("--piece-bytes", type=int, default=PIECE_BYTES, metavar="N", help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        have = wheels.read_versions(options.have.read_text(encoding="utf-8")) if options.have else {}
        for name, versions in choose(have).items():
            with TemporaryDirectory() as folder:
                wheels.fetch(versions, Path(folder))
                cut(name, Path(folder), options.folder, options.piece_bytes)
        libraries = Path(sysconfig.get_config_var("LIBDIR") or "")
        pack_interpreter(Path(sys.base_prefix), libraries, options.folder, options.piece_bytes)
        print(f"{options.folder}: archives {', '.join(archives(options.folder))}")
    except (WheelsError, PiecesError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def choose(have: Versions) -> dict[str, Versions]:
    """The wheels of each archive; `have` is what the other machine has, nothing if PyTorch is to be carried."""
    lock = wheels.read_versions((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    constraints = {name: version for name, version in lock.items() if name not in NOT_CONSTRAINED}
    cuda = {name: version for name, version in have.items() if name.startswith(("nvidia-", "cuda-toolkit"))}
    base = {"pip": own_pip()} | {name: version for name, version in lock.items() if name not in NOT_CARRIED}
    torch = {} if "torch" in have else wheels.resolve([f"torch=={lock['torch']}"], constraints)
    rapids = wheels.resolve(_of_the_extra(), constraints | cuda | _cuda_of(torch))
    archived = {BASE: base, RAPIDS: _others(rapids, base, torch, have)}
    return archived | ({TORCH: _others(torch, base, have)} if torch else {})


def _others(wanted: Versions, *elsewhere: Versions) -> Versions:
    return {name: version for name, version in wanted.items() if all(each.get(name) != version for each in elsewhere)}


def _cuda_of(torch: Versions) -> Versions:
    return {name: version for name, version in torch.items() if name.startswith(("nvidia-", "cuda-toolkit"))}


def _of_the_extra() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [each for each in project["optional-dependencies"]["gpu"] if not each.startswith(ONLY_TO_FIT)]


def own_pip() -> str:
    """The version of this Python's pip, whose wheel installs the others."""
    return importlib.metadata.version("pip")


def pack_interpreter(prefix: Path, libraries: Path, folder: Path, piece_bytes: int) -> None:
    """A Python that can run there: `bin`, the shared library, the standard library; compressed.

    Args:
        prefix: of the Python.
        libraries: where its shared library is.
        folder: of the pieces.
        piece_bytes: of a piece, at most.
    """
    library = libraries / f"libpython{wheels.PYTHON}.so.1.0"
    program = prefix / "bin" / f"python{wheels.PYTHON}"
    if not (library.is_file() and program.is_file()):
        print(f"no Python is packed: this one is not {wheels.PYTHON} with a shared library", file=sys.stderr)
        return
    with TemporaryDirectory() as work:
        python, packed = Path(work) / "python", Path(work) / "packed"
        standard = Path("lib") / f"python{wheels.PYTHON}"
        shutil.copytree(prefix / standard, python / standard, ignore=NOT_OF_PYTHON)
        shutil.copy2(library, python / "lib")
        (python / "bin").mkdir()
        shutil.copy2(program, python / "bin")
        packed.mkdir()
        with tarfile.open(packed / PYTHON_ARCHIVE, "w:xz") as archive:
            archive.add(python, "python")
        cut(INTERPRETER, packed, folder, piece_bytes)


if __name__ == "__main__":
    sys.exit(main())
