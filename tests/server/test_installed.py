"""The wheel, installed in a clean environment and used from an empty folder; its dependencies are borrowed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from readability_triton.serving.server import TritonServer

ROOT = Path(__file__).parents[2]
PACKAGE = "readability_triton"
NOT_COPIED = (".git", ".venv", ".hypothesis", ".*_cache", "__pycache__", "tests", "build", "*.egg-info")
ARTEFACTS = ("*.pt", "checkpoint.tl", "tokenizer.json")
LARGEST_CLIENT = 60e6

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Packages = Mapping[str, Distribution]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the checkout without anything that was built there."""
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns(*NOT_COPIED, *ARTEFACTS)
    copy = shutil.copytree(ROOT, folder / "checkout", symlinks=True, ignore=left_out)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(copy)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def new_environment(wheel: Path, folder: Path) -> Path:
    """A virtual environment with nothing but the wheel; where its packages lie."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    into = ["--python", str(folder / "bin" / "python")]
    pip = [sys.executable, "-m", "pip", *into, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    return packages


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and the packages of this one behind it; without the checkout."""
    folder = tmp_path_factory.mktemp("full")
    # A path file inside a folder that a path file names is not read: the checkout stays out.
    (new_environment(wheel, folder) / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return folder


@pytest.fixture(scope="module")
def client_only(wheel: Path, client_packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what `readability-triton[client]` brings."""
    folder = tmp_path_factory.mktemp("client")
    packages = new_environment(wheel, folder)
    for package in client_packages.values():
        for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(str(package.locate_file(name)))
    assert not any((packages / name).exists() for name in ("torch", "transformers", "sklearn", "scipy", "tokenizers"))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of an environment from an empty folder, with an empty cache."""
    empty, cache = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("cache")
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    variables |= {"XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}

    def call(environment: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(environment / "bin" / program), *arguments]
        return subprocess.run(command, cwd=empty, env=variables, capture_output=True, text=True, timeout=300)

    return call


@pytest.fixture(scope="module")
def client_packages() -> Packages:
    """The distributions that `pip install readability-triton[client]` brings, by name, without ours."""
    ours = distribution("readability-triton")
    found: dict[str, Distribution] = {}
    needed = [(ours, {"client"})]
    while needed:
        package, extras = needed.pop()
        for requirement in map(Requirement, package.requires or ()):
            if requirement.marker and not any(requirement.marker.evaluate({"extra": each}) for each in extras):
                continue
            if requirement.name not in found or requirement.extras:
                found[requirement.name] = distribution(requirement.name)
                needed.append((found[requirement.name], requirement.extras or {""}))
    return found


def test_the_wheel_holds_one_package_without_faults(full: Path, run: Run) -> None:
    (packages,) = full.glob("lib/python3*/site-packages")
    ours = {path.name for path in packages.iterdir() if not path.name.endswith(".dist-info")}
    assert ours == {PACKAGE, "borrowed.pth"}
    assert not (packages / PACKAGE / "faults").exists()
    imported = run(full, "python", "-c", f"import {PACKAGE}.serving.server as server; print(server.__file__)")
    assert Path(imported.stdout.strip()).is_relative_to(packages), imported.stderr


def test_commands_that_are_not_installed_say_where_they_are(full: Path, run: Run) -> None:
    assert "faults" not in run(full, "readability", "--help").stdout
    refused = run(full, "readability", "faults")
    assert refused.returncode == 1
    assert "faults is not installed: run it in a checkout" in refused.stderr


def test_built_and_demonstrated_from_an_empty_folder(full: Path, run: Run) -> None:
    before = sorted(full.rglob("*"))
    refused = run(full, "readability", "demo")
    assert refused.returncode == 4
    assert "run `readability build`" in refused.stderr
    built = run(full, "readability", "build")
    assert built.returncode == 0, built.stderr
    demo = run(full, "readability", "demo")
    assert demo.returncode == 0, demo.stderr
    assert all(name in demo.stdout for name in ("ensemble_all", "bls_pipeline", "10-journal-abstract"))
    assert "Largest difference between the two: " in demo.stdout
    assert sorted(full.rglob("*")) == before


def test_the_client_is_a_small_download(wheel: Path, client_packages: Packages) -> None:
    def packed(package: Distribution) -> int:
        files = [Path(str(file.locate())) for file in package.files or ()]
        return sum(len(zlib.compress(file.read_bytes())) for file in files if file.is_file() and file.suffix != ".pyc")

    with ThreadPoolExecutor() as pool:
        sizes = dict(zip(client_packages, pool.map(packed, client_packages.values()), strict=True))
    assert {"numpy", "tritonclient", "grpcio", "aiohttp"} <= sizes.keys()
    assert wheel.stat().st_size + sum(sizes.values()) < LARGEST_CLIENT, sizes


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_the_client_scores_with_its_own_packages_only(
    client_only: Path, run: Run, server: TritonServer, scheme: str
) -> None:
    url = server.grpc_url if scheme == "grpc" else server.http_url
    text = str(ROOT / "cli" / "samples" / "01-first-reader.txt")
    scored = run(client_only, "readability", "score", "--url", url, "--format", "csv", text)
    assert scored.returncode == 0, scored.stderr
    assert "bls_pipeline" in scored.stdout


@pytest.mark.parametrize(("command", "extra"), [("compare", "compare"), ("train", "server"), ("build", "server")])
def test_the_client_names_the_extra_that_a_command_needs(client_only: Path, run: Run, command: str, extra: str) -> None:
    refused = run(client_only, "readability", command, "--help")
    assert refused.returncode == 1
    assert f"pip install 'readability-triton[{extra}]'" in refused.stderr
