import os
import shutil
import sys
from pathlib import Path

import pytest

from readability_triton.serving import placement
from readability_triton.serving.environment import IMPORT_ROOT, server_environment
from readability_triton.serving.errors import PlacementError
from readability_triton.serving.placement import Placement
from readability_triton.serving.runtime import DROP_INS, Runtime

REPOSITORY = Path("model_repository")

LIBRARIES = [Path("/wheel/libs"), Path("/python/lib")]
RUNTIME = Runtime("a test", Path("/bin/true"), {}, libraries=LIBRARIES)
STAGE_DEFAULTS = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "10000",
    "TOKENIZERS_PARALLELISM": "false",
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
}
SET_BY_US = (*STAGE_DEFAULTS, "OPENBLAS_NUM_THREADS", "LD_LIBRARY_PATH", "PYTHONPATH", "CUDA_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    for name in SET_BY_US:
        monkeypatch.delenv(name, raising=False)


def test_the_stubs_find_this_interpreter_first_and_all_else_after_it(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = server_environment(RUNTIME, Placement.AUTO, REPOSITORY)["PATH"]
    assert path == f"{Path(sys.executable).parent}:/usr/bin:/bin"
    assert Path(shutil.which("python3", path=path)).parent == Path(sys.executable).parent


def test_the_libraries_come_before_those_of_the_user(monkeypatch):
    assert server_environment(RUNTIME, Placement.AUTO, REPOSITORY)["LD_LIBRARY_PATH"] == "/wheel/libs:/python/lib"
    monkeypatch.setenv("LD_LIBRARY_PATH", "/users/own")
    assert (
        server_environment(RUNTIME, Placement.AUTO, REPOSITORY)["LD_LIBRARY_PATH"]
        == "/wheel/libs:/python/lib:/users/own"
    )


def test_cuda_from_pip_is_where_cupy_looks_for_it(monkeypatch, tmp_path):
    (tmp_path / "nvidia" / "cu13" / "lib").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    path = server_environment(RUNTIME, Placement.AUTO, REPOSITORY)["LD_LIBRARY_PATH"]
    assert path == f"/wheel/libs:/python/lib:{tmp_path / 'nvidia' / 'cu13' / 'lib'}"


def test_interpreters_that_read_pythonpath_find_the_project_and_its_packages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/users/own")
    paths = server_environment(RUNTIME, Placement.AUTO, REPOSITORY)["PYTHONPATH"].split(os.pathsep)
    assert paths[0] == str(IMPORT_ROOT)
    assert str(Path(pytest.__file__).parents[1]) in paths
    assert paths[-1] == "/users/own"


@pytest.mark.parametrize(("name", "ours"), STAGE_DEFAULTS.items())
def test_stages_get_these_settings_unless_the_user_says_otherwise(monkeypatch, name, ours):
    assert server_environment(RUNTIME, Placement.AUTO, REPOSITORY)[name] == ours
    monkeypatch.setenv(name, "users")
    assert server_environment(RUNTIME, Placement.AUTO, REPOSITORY)[name] == "users"


def test_native_libtorch_keeps_every_core_for_the_encoder(monkeypatch, tmp_path):
    native = Runtime("a test", Path("/bin/true"), {"pytorch": tmp_path / "pytorch", "fil": tmp_path / "fil"})
    environment = server_environment(native, Placement.AUTO, REPOSITORY)
    assert "OMP_NUM_THREADS" not in environment
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment["GOMP_SPINCOUNT"] == STAGE_DEFAULTS["GOMP_SPINCOUNT"]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert server_environment(native, Placement.AUTO, REPOSITORY)["OMP_NUM_THREADS"] == "3"


def test_a_drop_in_takes_every_core_by_itself():
    dropped = Runtime("a test", Path("/bin/true"), {"pytorch": DROP_INS / "pytorch"})
    assert server_environment(dropped, Placement.AUTO, REPOSITORY)["OMP_NUM_THREADS"] == "1"


def test_the_placement_has_the_last_word_over_visible_gpus(monkeypatch):
    monkeypatch.setattr(placement, "missing_requirements", lambda repository: [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert server_environment(RUNTIME, Placement.CPU, REPOSITORY)["CUDA_VISIBLE_DEVICES"] == ""
    assert server_environment(RUNTIME, Placement.AUTO, REPOSITORY)["CUDA_VISIBLE_DEVICES"] == "3"


def test_a_placement_that_is_not_to_be_had_is_refused(monkeypatch):
    monkeypatch.setattr(placement, "missing_requirements", lambda repository: ["no GPU"])
    with pytest.raises(PlacementError):
        server_environment(RUNTIME, Placement.GPU, REPOSITORY)


def test_this_process_keeps_its_own_environment():
    before = dict(os.environ)
    server_environment(RUNTIME, Placement.CPU, REPOSITORY)
    assert dict(os.environ) == before
