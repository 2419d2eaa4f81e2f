"""Wheels for another machine: which are chosen, and what is left out of them. pip is given a folder, no network."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from readability_triton.bench.gpu import pack, wheels
from readability_triton.bench.gpu.pieces import archives, join
from readability_triton.bench.gpu.wheels import WheelsError, read_versions
from tests.bench.gpu.wheel import Index, write_wheel


def test_versions_are_read_of_a_lock_and_of_what_pip_freezes() -> None:
    text = "Foo_Bar==1.2\ntorch==2.11.0+cu130\n# c==1\nlocal @ file:///x\n-e git+x\nzope.a==3 ; python_version > '3'\n"
    assert read_versions(text) == {"foo-bar": "1.2", "torch": "2.11.0", "zope-a": "3"}


def test_thinning_leaves_out_tests_and_headers_also_of_the_record_and_pip_installs_the_rest(tmp_path: Path) -> None:
    files = {"libcudf/include/a.h": "x", "libcudf/tests/t.py": "x", "libcudf/lib64/libcudf.so": "library"}
    wheel = write_wheel(tmp_path, "libcudf_cu13", "26.6.0", files)
    wheels.thin(wheel)
    names = zipfile.ZipFile(wheel).namelist()
    record = zipfile.ZipFile(wheel).read("libcudf_cu13-26.6.0.dist-info/RECORD").decode()
    assert "libcudf/lib64/libcudf.so" in names
    assert not [name for name in names if "include" in name or "tests" in name]
    assert "include" not in record
    assert "libcudf/lib64/libcudf.so" in record
    target = tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", target]
    subprocess.run([*pip, wheel], check=True)
    assert (target / "libcudf" / "lib64" / "libcudf.so").read_text() == "library"


def test_headers_that_cupy_compiles_with_stay(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "nvidia_cuda_runtime", "13.0.96", {"nvidia/cu13/include/cuda_runtime.h": "x"})
    before = wheel.read_bytes()
    wheels.thin(wheel)
    assert wheel.read_bytes() == before


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    return Index(tmp_path / "index", monkeypatch)


def test_the_machines_cuda_is_kept_and_what_it_has_is_not_fetched(index: Index) -> None:
    index.add("nvidia_nvrtc", "13.5")
    machine = {"torch": "2.11.0", "nvidia-nvrtc": "13.0", "cachetools": "1.0"}
    chosen = pack.choose(machine)
    assert "torch" not in chosen
    assert chosen["rapids"] == {"cudf-cu13": "26.6.0", "pandas": "2.3.3"}
    assert chosen["base"] == {"pip": index.pip, "numpy": "1.26.4", "click": "99.0", "pandas": "3.0.6"}


def test_without_word_of_the_machine_pytorch_is_carried_and_rapids_takes_its_cuda(index: Index) -> None:
    index.add("nvidia_nvrtc", "13.5")
    chosen = pack.choose({})
    assert chosen["torch"] == {"torch": "2.13.0", "nvidia-nvrtc": "13.0"}
    assert chosen["rapids"] == {"cudf-cu13": "26.6.0", "pandas": "2.3.3", "cachetools": "1.0"}


def test_what_does_not_fit_together_is_an_error_that_says_so(index: Index, capsys, tmp_path: Path) -> None:
    machine = tmp_path / "machine.txt"
    machine.write_text("torch==2.11.0\nnvidia-nvrtc==12.0\n")
    assert pack.main([str(tmp_path / "pieces"), "--have", str(machine)]) == 1
    assert "Cannot install cudf-cu13==26.6.0" in capsys.readouterr().err


def test_a_package_without_a_wheel_is_an_error_that_names_it(index: Index, tmp_path: Path) -> None:
    with pytest.raises(WheelsError, match=r"absent==1\.0"):
        wheels.fetch({"absent": "1.0"}, tmp_path / "wheels")


def test_a_python_with_a_shared_library_is_packed_without_its_tests(tmp_path: Path) -> None:
    prefix, version = tmp_path / "prefix", wheels.PYTHON
    for name in (
        f"bin/python{version}",
        f"lib/libpython{version}.so.1.0",
        f"lib/python{version}/os.py",
        f"lib/python{version}/test/test_os.py",
    ):
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(name)
    pack.pack_interpreter(prefix, prefix / "lib", tmp_path / "pieces", 1000)
    join("python", tmp_path / "pieces", tmp_path / "joined")
    subprocess.run(["tar", "xJf", "python.tar.xz"], cwd=tmp_path / "joined", check=True)
    packed = tmp_path / "joined" / "python"
    found = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
    assert found == {f"bin/python{version}", f"lib/libpython{version}.so.1.0", f"lib/python{version}/os.py"}


def test_a_python_without_a_shared_library_is_not_packed(tmp_path: Path, capsys) -> None:
    pack.pack_interpreter(tmp_path, tmp_path, tmp_path / "pieces", 1000)
    assert "no Python is packed" in capsys.readouterr().err
    assert not (tmp_path / "pieces").exists()


def test_packing_writes_every_archive(index: Index, tmp_path: Path) -> None:
    assert pack.main([str(tmp_path / "pieces"), "--piece-bytes", "100000"]) == 0
    assert {"base", "rapids", "torch"} <= set(archives(tmp_path / "pieces"))
