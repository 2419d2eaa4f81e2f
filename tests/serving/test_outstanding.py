import os
import signal
import subprocess
import sys

import pytest

from readability_triton.serving import outstanding
from readability_triton.serving.outstanding import FOLDER, Outstanding


def fail():
    raise RuntimeError("no shared memory is left")


@pytest.fixture
def counting(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    counting = Outstanding()
    counting.add(2)
    return counting


def left(folder) -> int:
    return outstanding.outstanding(folder, os.getpid())


def test_an_answer_that_is_sent_is_counted_once_and_no_error_is_sent(counting, tmp_path):
    sent = []
    counting.answer(lambda: sent.append("answer"), lambda: sent.append("error"))
    assert sent == ["answer"]
    assert left(tmp_path) == 1


def test_an_error_is_sent_in_place_of_an_answer_that_cannot_be(counting, tmp_path, capsys):
    sent = []
    counting.answer(fail, lambda: sent.append("error"))
    assert sent == ["error"]
    assert left(tmp_path) == 1
    assert "no shared memory is left" in capsys.readouterr().err


def test_a_process_that_can_send_neither_ends_with_the_request_outstanding(tmp_path):
    script = (
        "import os, sys; from readability_triton.serving.outstanding import Outstanding\n"
        "counting = Outstanding(); counting.add(1); print(os.getpid(), flush=True)\n"
        "counting.answer(lambda: 1 / 0, lambda: 1 / 0); print('goes on')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {FOLDER: str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert "goes on" not in ended.stdout
    assert outstanding.outstanding(tmp_path, int(ended.stdout)) == 1


def test_requests_are_counted_before_the_mark_is_looked_for(counting, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Outstanding, "is_draining", property(lambda _: seen.append(left(tmp_path)) or False))
    assert counting.accept(3)
    assert seen == [5]


def test_a_server_that_drains_takes_no_request_and_has_each_refused(counting, tmp_path):
    assert counting.accept(1)
    outstanding.drain(tmp_path)
    assert not counting.accept(2)
    assert left(tmp_path) == 5
