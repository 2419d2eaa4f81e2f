"""A server that is drained takes no more, and is left when it has answered what it had."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from readability_triton.serving import outstanding
from readability_triton.serving.drain import drain
from readability_triton.serving.outstanding import Outstanding


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outstanding:
    monkeypatch.setenv(outstanding.FOLDER, str(tmp_path))
    return Outstanding()


def test_it_waits_for_the_answers_and_new_requests_are_refused(counted: Outstanding, tmp_path: Path) -> None:
    counted.add(2)
    left: list[int] = []
    drains = threading.Thread(target=lambda: left.append(drain(tmp_path)))
    drains.start()
    while not counted.is_draining:
        pass
    counted.add(-1)
    assert drains.is_alive()
    counted.add(-1)
    drains.join(10)
    assert left == [0]


def test_what_is_not_answered_in_time_is_counted(counted: Outstanding, tmp_path: Path) -> None:
    counted.add(3)
    assert drain(tmp_path, longest_s=0) == 3


@pytest.mark.parametrize(("is_set", "code"), [(True, 0), (False, 1)])
def test_the_command_of_a_container(tmp_path: Path, is_set: bool, code: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != outstanding.FOLDER}
    environment |= {outstanding.FOLDER: str(tmp_path / "none yet")} if is_set else {}
    command = [sys.executable, "-m", "readability_triton.serving.drain"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert is_set or f"{outstanding.FOLDER} is not set" in ended.stderr
