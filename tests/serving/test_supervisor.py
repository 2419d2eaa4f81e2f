import os
import signal
import subprocess
import threading
import time

import pytest

from readability_triton.serving import supervisor
from readability_triton.serving.control import ControlError
from readability_triton.serving.stubs import find_stubs, process_state
from readability_triton.serving.supervisor import Supervisor


def until(promise, seconds=60):
    deadline = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class FakeControl:
    """Model control that starts new processes, once `failures` are used up and `gate` is open."""

    def __init__(self, start_stub):
        self.start_stub = start_stub
        self.live = True
        self.failures = []
        self.reloaded = []
        self.started = {}
        self.gate = threading.Event()
        self.gate.set()
        self.running = []
        self.at_once = 0

    def is_live(self):
        return self.live

    def reload(self, model):
        self.running.append(model)
        self.at_once = max(self.at_once, self.running.count(model))
        assert self.gate.wait(10)
        self.running.remove(model)
        self.reloaded.append(model)
        if self.failures:
            raise ControlError(self.failures.pop(0))
        self.start(model)

    def start(self, model, instances=1):
        for _ in range(instances):
            process = self.start_stub(model)
            self.started.setdefault(model, []).append(process)
            until(lambda pid=process.pid: pid in {stub.pid for stub in find_stubs(os.getpid())})


@pytest.fixture
def control(start_stub):
    control = FakeControl(start_stub)
    control.start("bert-large")
    control.start("cuml")
    return control


@pytest.fixture
def lines():
    return []


@pytest.fixture
def restart(control):
    """Ends all stubs, as a server does that is killed, and starts new ones."""

    def restart(before_start):
        restart.calls += 1
        for process in [process for started in control.started.values() for process in started]:
            process.kill()
            process.wait()
        before_start()
        for model in ("bert-large", "cuml"):
            control.start(model)
        return os.getpid()

    restart.calls = 0
    return restart


@pytest.fixture
def watch(control, lines, monkeypatch, restart, tmp_path):
    """A supervisor over this process's children, polled by hand. Pauses are short."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_S", 0.04)
    watching = Supervisor(os.getpid(), control, lines.append, restart, tmp_path)
    yield watching
    control.gate.set()
    watching.stop()


def kill(process: subprocess.Popen) -> None:
    """Leave a zombie, as a server does that has not noticed."""
    process.kill()
    until(lambda: process_state(process.pid) == "Z")


def settle(watching) -> None:
    """Poll until every recovery has ended and been noticed."""
    until(lambda: watching.poll() or not watching._recoveries)


def test_nothing_is_done_while_all_are_well(watch, control, lines):
    for _ in range(5):
        watch.poll()
    assert control.reloaded == lines == []


def test_a_dead_stub_has_its_model_loaded_again_once(watch, control, lines):
    kill(control.started["cuml"][0])
    for _ in range(3):
        settle(watch)
    assert control.reloaded == ["cuml"]
    assert len(lines) == 1
    assert lines[0].startswith("cuml: its process died; reloaded in 0.")
    assert lines[0].endswith(" s")


def test_a_stub_that_is_no_longer_there_at_all_died_too(watch, control):
    kill(control.started["cuml"][0])
    control.started["cuml"][0].wait()
    settle(watch)
    assert control.reloaded == ["cuml"]


def test_the_new_stub_is_watched_like_the_old_one(watch, control, lines):
    for death in range(3):
        kill(control.started["cuml"][death])
        settle(watch)
    assert control.reloaded == ["cuml"] * 3
    assert len(lines) == 3


def test_a_stub_stopped_for_a_moment_is_left_as_it_is(watch, control, lines):
    process = control.started["cuml"][0]
    for _ in range(3):
        process.send_signal(signal.SIGSTOP)
        until(lambda: any(stub.is_stopped for stub in find_stubs(os.getpid())))
        watch.poll()
        process.send_signal(signal.SIGCONT)
        until(lambda: not any(stub.is_stopped for stub in find_stubs(os.getpid())))
        watch.poll()
    assert process.poll() is None
    assert control.reloaded == lines == []


def test_a_stub_stopped_twice_in_a_row_is_killed_before_its_model_is_loaded_again(watch, control, lines):
    process = control.started["cuml"][0]
    process.send_signal(signal.SIGSTOP)
    until(lambda: any(stub.is_stopped for stub in find_stubs(os.getpid())))
    control.gate.clear()
    watch.poll()
    assert process.poll() is None
    assert not control.running
    watch.poll()
    assert process.wait(10) == -signal.SIGKILL
    until(lambda: control.running == ["cuml"])
    control.gate.set()
    settle(watch)
    assert lines[0].startswith("cuml: its process was stopped; reloaded in ")


def test_a_stub_that_is_stopped_while_its_model_is_loaded_is_killed_too(watch, control):
    kill(control.started["cuml"][0])
    control.gate.clear()
    watch.poll()
    until(lambda: control.running)
    control.start("cuml")  # Triton would wait for it for ever.
    control.started["cuml"][1].send_signal(signal.SIGSTOP)
    until(lambda: any(stub.is_stopped for stub in find_stubs(os.getpid())))
    watch.poll()
    watch.poll()
    assert control.started["cuml"][1].wait(10) == -signal.SIGKILL
    control.gate.set()
    settle(watch)
    assert control.reloaded == ["cuml"]


def test_no_model_is_loaded_twice_at_once_and_others_are_watched_meanwhile(watch, control):
    control.gate.clear()
    kill(control.started["cuml"][0])
    for _ in range(3):
        watch.poll()
    kill(control.started["bert-large"][0])
    for _ in range(3):
        watch.poll()
    until(lambda: sorted(control.running) == ["bert-large", "cuml"])
    control.gate.set()
    settle(watch)
    assert control.at_once == 1
    assert sorted(control.reloaded) == ["bert-large", "cuml"]


def test_a_model_that_does_not_load_is_tried_again_after_growing_pauses(watch, control, lines):
    control.failures = ["No file"] * 4
    kill(control.started["cuml"][0])
    settle(watch)
    assert control.reloaded == ["cuml"] * 5
    assert lines[0] == "cuml: its process died; it does not load: No file; next attempt in 0 s"
    assert len(lines) == 5
    assert "reloaded in" in lines[4]


def test_pauses_double_up_to_half_a_minute():
    pauses = supervisor._pauses()
    assert [next(pauses) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_stubs_of_attempts_that_failed_are_no_deaths(watch, control):
    control.failures = ["No file"]
    kill(control.started["cuml"][0])
    control.gate.clear()
    watch.poll()
    control.start("cuml")
    watch.poll()
    kill(control.started["cuml"][1])
    control.gate.set()
    settle(watch)
    settle(watch)
    assert control.reloaded == ["cuml"] * 2


def test_an_old_stub_that_answers_its_last_requests_is_none_of_the_new_ones(
    start_stub, control, lines, restart, tmp_path
):
    control.start("cuml")
    watching = Supervisor(os.getpid(), control, lines.append, restart, tmp_path)
    old = control.started["cuml"][:]
    reload = control.reload
    control.reload = lambda model: (reload(model), control.start(model))
    kill(old[0])
    settle(watching)
    kill(control.started["cuml"][2])
    settle(watching)
    assert control.reloaded == ["cuml"] * 2
    kill(old[1])  # as Triton does when it has answered
    old[1].wait()
    settle(watching)
    assert control.reloaded == ["cuml"] * 2


def test_a_server_that_is_dead_is_left_as_it_is(control, lines, restart, tmp_path):
    server = subprocess.Popen(["sleep", "600"])
    watching = Supervisor(server.pid, control, lines.append, restart, tmp_path)
    watching._wanted = {"cuml": 1}  # as if its stubs had gone with it
    server.kill()
    until(lambda: process_state(server.pid) == "Z")
    watching.poll()
    server.wait()
    watching.poll()
    assert not watching._recoveries


def test_a_server_that_is_ending_is_left_as_it_is(watch, control, lines):
    control.live = False
    kill(control.started["cuml"][0])
    for _ in range(3):
        watch.poll()
        time.sleep(0.02)
    watch.stop()
    assert control.reloaded == lines == []


def test_a_server_that_ends_while_a_model_is_loaded_is_no_failure_of_the_model(watch, control, lines):
    control.failures = ["no answer: connection refused"] * 10
    control.gate.clear()
    kill(control.started["cuml"][0])
    watch.poll()
    until(lambda: control.running)
    control.live = False
    control.gate.set()
    watch.stop()
    assert lines == []


def test_it_watches_by_itself_within_its_block_and_no_longer_after_it(control, lines, monkeypatch, restart, tmp_path):
    monkeypatch.setattr(supervisor, "POLL_S", 0.01)
    with Supervisor(os.getpid(), control, lines.append, restart, tmp_path):
        kill(control.started["cuml"][0])
        until(lambda: lines)
    kill(control.started["bert-large"][0])
    time.sleep(0.1)
    assert control.reloaded == ["cuml"]


def test_stopping_waits_for_a_model_that_is_being_loaded_but_not_for_ever(watch, control, lines, monkeypatch):
    monkeypatch.setattr(supervisor, "PATIENCE_S", 0.1)
    control.gate.clear()
    kill(control.started["cuml"][0])
    watch.poll()
    until(lambda: control.running)
    start = time.monotonic()
    watch.stop()
    assert 0.1 <= time.monotonic() - start < 5
    assert control.running


def test_a_stub_that_died_with_requests_unanswered_has_the_server_started_again_at_once(
    watch, control, restart, lines, tmp_path
):
    process = control.started["bert-large"][0]
    (tmp_path / str(process.pid)).write_bytes((3).to_bytes(8, "little"))
    kill(process)
    watch.poll()
    assert restart.calls == 1
    assert control.reloaded == []
    assert lines[0] == "the process died of bert-large with 3 requests unanswered; starting the server again"
    assert lines[1].startswith("the server is ready again after ")
    for _ in range(3):
        watch.poll()
    assert restart.calls == 1
    kill(control.started["cuml"][-1])
    settle(watch)
    assert (restart.calls, control.reloaded) == (1, ["cuml"])


def test_a_stub_that_had_answered_everything_is_only_loaded_again(watch, control, restart, tmp_path):
    process = control.started["bert-large"][0]
    (tmp_path / str(process.pid)).write_bytes((0).to_bytes(8, "little"))
    kill(process)
    settle(watch)
    assert (restart.calls, control.reloaded) == (0, ["bert-large"])


def test_restarts_that_follow_one_another_pause_longer_and_longer(watch, control, restart, lines, tmp_path):
    for _ in range(3):
        process = control.started["cuml"][-1]
        (tmp_path / str(process.pid)).write_bytes((1).to_bytes(8, "little"))
        kill(process)
        watch.poll()
    assert restart.calls == 3
    assert [line.count(" in 0 s") for line in lines if "starting" in line] == [0, 1, 1]


def test_a_server_that_does_not_start_again_is_reported(watch, control, lines, tmp_path, monkeypatch):
    def fail(before_start):
        raise TimeoutError("not ready after 300 s")

    monkeypatch.setattr(watch, "_restart", fail)
    process = control.started["cuml"][0]
    (tmp_path / str(process.pid)).write_bytes((1).to_bytes(8, "little"))
    kill(process)
    watch.poll()
    assert lines[-1] == "the server does not start: not ready after 300 s"
