import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from readability_triton.serving import stubs
from readability_triton.serving.stubs import Stub, find_stubs, is_alive, process_state, shared_memory


def until(promise, seconds=10):
    deadline = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def found():
    return {stub.pid: stub for stub in find_stubs(os.getpid())}


def test_a_stub_is_found_with_its_model_and_instance(start_stub):
    pid = start_stub("bert-large", "bert-large_0_1").pid
    until(lambda: pid in found())
    assert found()[pid].model == "bert-large"
    assert found()[pid].instance == "bert-large_0_1"
    assert found()[pid].is_alive
    assert not found()[pid].is_stopped


def test_an_instance_group_may_have_any_name(start_stub):
    pid = start_stub("cuml", "some_group_0").pid
    until(lambda: pid in found())
    assert (found()[pid].model, found()[pid].instance) == ("cuml", "some_group_0")


def test_other_children_are_no_stubs(start_stub):
    trial = [f"/backends/python/{stubs.EXECUTABLE}", "-c", "import time; time.sleep(600)"]
    for command in ([sys.executable, "-c", "import time; time.sleep(600)"], trial):
        with subprocess.Popen(command, executable=sys.executable) as process:
            until(lambda pid=process.pid: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes())
            assert process.pid not in found()
            process.kill()


def test_stubs_of_another_server_are_not_found(start_stub):
    pid = start_stub("cuml").pid
    until(lambda: pid in found())
    assert pid not in {stub.pid for stub in find_stubs(os.getppid())}


def test_a_dead_stub_is_not_found_and_seen_as_dead_when_looked_at_again(start_stub):
    process = start_stub("cuml")
    until(lambda: process.pid in found())
    stub = found()[process.pid]
    process.kill()
    until(lambda: stub.again().state == "Z")
    assert process.pid not in found()
    assert not stub.again().is_alive
    process.wait()
    assert stub.again().state is None
    assert not stub.again().is_alive


def test_a_stopped_stub_is_alive(start_stub):
    process = start_stub("cuml")
    until(lambda: process.pid in found())
    process.send_signal(signal.SIGSTOP)
    until(lambda: found()[process.pid].is_stopped)
    assert found()[process.pid].is_alive
    process.send_signal(signal.SIGCONT)
    until(lambda: not found()[process.pid].is_stopped)


@pytest.mark.parametrize(("state", "stopped"), [("S", False), ("R", False), ("T", True), ("t", True), ("Z", False)])
def test_stopped_is_by_a_signal_or_a_tracer(state, stopped):
    assert Stub(1, "cuml", "cuml_0_0", state).is_stopped is stopped


@pytest.mark.parametrize(("state", "alive"), [("S", True), ("T", True), ("D", True), ("Z", False), (None, False)])
def test_alive_is_whatever_is_more_than_an_exit_code(state, alive):
    assert is_alive(state) is alive


@pytest.mark.parametrize("name", ["sleeps well", "a) Z 1 (b"])
def test_a_name_with_spaces_and_parentheses_does_not_mislead(tmp_path, monkeypatch, name):
    monkeypatch.setattr(stubs, "PROC", tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 ({name}) T 42 7 7 0 -1")
    assert process_state(7) == "T"


def test_the_shared_memory_of_a_server_is_what_it_has_mapped(tmp_path, monkeypatch):
    uuid = "9870f4f0-dd0e-4f24-acde-c74fcd06265b"
    names = [f"triton_{name}_backend_shm_region_{uuid}" for name in ("python", "fil", "pytorch")]
    mapped = [f"/dev/shm/{name}" for name in names[:2]] * 2
    others = [f"/dev/shm/{names[2]} (deleted)", "/dev/shm/of_a_client", "/lib/libtriton_python.so", "[heap]"]
    (tmp_path / "7").mkdir()
    lines = [f"7fd5a0601000-7fd5a0701000 rw-s 00000000 00:19 5      {path}\n" for path in mapped + others]
    (tmp_path / "7" / "maps").write_text("".join(lines))
    monkeypatch.setattr(stubs, "PROC", tmp_path)
    assert shared_memory(7) == sorted(Path(path) for path in set(mapped))
    assert shared_memory(8) == []
