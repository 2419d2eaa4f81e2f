"""Install an archive of wheels into an environment of its own, beside the PyTorch that the machine has.

Run by the machine's own Python 3.12, in a checkout. The environment's packages go before the machine's, so its NumPy
1.26 and CuPy 13 are taken where the machine has NumPy 2 and CuPy 14; what it lacks, such as PyTorch, is found on the
machine.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from readability_triton.bench.gpu.pieces import PiecesError, archives, join
from readability_triton.bench.gpu.stages import BASE, INTERPRETER, PYTHON_ARCHIVE, RAPIDS, TORCH
from readability_triton.serving.errors import TritonNotFoundError
from readability_triton.serving.runtime import libpython_folder

ROOT = Path(__file__).resolve().parents[2]
PATH_FILE = "zz_machine.pth"
LEAST_TORCH, CUDA = (2, 8), "13"
TORCHS_OWN = ("torch-", "triton-")

FITS = f"""
import torch
version = tuple(int(part) for part in torch.__version__.split(".")[:2])
cuda = torch.version.cuda or "none"
fits = version >= {LEAST_TORCH} and cuda.split(".")[0] == "{CUDA}"
raise SystemExit(None if fits else f"PyTorch {{torch.__version__}} with CUDA {{cuda}}")
"""


class InstallError(RuntimeError):
    """The environment cannot be made."""


def main(arguments: list[str] | None = None) -> int:
    """The command; gives its exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m readability_triton.bench.gpu.install", description=__doc__)
    parser.add_argument("archive", choices=(BASE, RAPIDS))
    parser.add_argument("--pieces", type=Path, required=True)
    parser.add_argument("--environment", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        _install(options.archive, options.pieces, options.environment)
    except (PiecesError, InstallError, OSError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def python_of(environment: Path) -> Path:
    """The environment's interpreter."""
    return environment / "venv" / "bin" / "python"


def packages_of(environment: Path) -> Path:
    """Where the environment's own packages are."""
    return next((environment / "venv" / "lib").glob("python3.*")) / "site-packages"


def packages_of_the_machine() -> list[str]:
    """Where the Python that runs this finds packages."""
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def _install(archive: str, pieces: Path, environment: Path) -> None:
    if archive == BASE:
        shutil.rmtree(environment, ignore_errors=True)
        _make(environment, pieces)
    with TemporaryDirectory() as folder:
        wheels = Path(folder)
        join(archive, pieces, wheels)
        if archive == BASE:
            shutil.copy2(_pip_wheel(wheels), environment / "pip.whl")
        _pip(environment, wheels.glob("*.whl"))
    if archive == BASE:
        _torch(environment, pieces)
    elif TORCH in archives(pieces) and not _has_torch(environment):
        _install_torch(
            environment, pieces, without=TORCHS_OWN
        )  # the machine's is used, and RAPIDS needs CUDA's libraries


def _make(environment: Path, pieces: Path) -> None:
    """A virtual environment without pip, whose path ends with this checkout and the machine's packages."""
    interpreter = sys.executable
    try:
        libpython_folder()
    except TritonNotFoundError as error:
        if INTERPRETER not in archives(pieces):
            raise InstallError(f"{error}; or pack with a Python 3.12 that has it") from None
        with TemporaryDirectory() as folder:
            join(INTERPRETER, pieces, Path(folder))
            with tarfile.open(Path(folder) / PYTHON_ARCHIVE) as packed:
                packed.extractall(environment, filter="tar")
        interpreter = str(next((environment / "python" / "bin").glob("python3.*")))
    _run([interpreter, "-m", "venv", "--without-pip", str(environment / "venv")])
    lines = [str(ROOT), *(f"import site; site.addsitedir({path!r})" for path in packages_of_the_machine())]
    (packages_of(environment) / PATH_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _torch(environment: Path, pieces: Path) -> None:
    """The machine's if it fits, else the one that is carried."""
    asked = subprocess.run([python_of(environment), "-c", FITS], capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return
    why = (asked.stderr.strip().splitlines() or ["no PyTorch"])[-1]
    if TORCH not in archives(pieces):
        raise InstallError(
            f"this machine's PyTorch does not fit ({why}; {'.'.join(map(str, LEAST_TORCH))} or later with CUDA "
            f"{CUDA} is needed): pack without --have, which carries one"
        )
    _install_torch(environment, pieces)


def _install_torch(environment: Path, pieces: Path, without: tuple[str, ...] = ()) -> None:
    with TemporaryDirectory() as folder:
        join(TORCH, pieces, Path(folder))
        _pip(environment, (wheel for wheel in Path(folder).glob("*.whl") if not wheel.name.startswith(without)))


def _has_torch(environment: Path) -> bool:
    return any(packages_of(environment).glob("torch-*.dist-info"))


def _pip_wheel(wheels: Path) -> Path:
    found = sorted(wheels.glob("pip-*.whl"))
    if not found:
        raise InstallError("the archive has no wheel of pip")
    return found[0]


_OPTIONS = ("install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile", "--upgrade")


def _pip(environment: Path, wheels: Iterable[Path]) -> None:
    """Install wheels by the pip that is one of them: the machine may have none, nor the means to make one."""
    pip = environment / "pip.whl" / "pip"
    _run([str(python_of(environment)), str(pip), *_OPTIONS, *map(str, sorted(wheels))])


def _run(command: list[str]) -> None:
    if code := subprocess.run(command, check=False).returncode:
        raise InstallError(f"{' '.join(command)[:200]}: exit code {code}")


if __name__ == "__main__":
    sys.exit(main())
