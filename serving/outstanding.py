"""How many requests a model's process has accepted but not yet answered: a number that outlives the process.

A model that answers after `execute` has returned leaves its clients waiting for ever if its process dies, until the
server ends (Triton 24.10). The supervisor reads this number to decide whether loading the model again is enough.
"""

import mmap
import os
import signal
import struct
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from readability_triton.serving.stubs import is_alive, process_state

FOLDER = "READABILITY_OUTSTANDING"
"""Environment variable: the folder with one file a process, named by its id. Without it nothing is counted."""

DRAINING = "draining"
"""A file of this name in the folder: the server is about to stop. Triton refuses inner calls from SIGTERM on, so models
that make some refuse new requests before, and finish those that they have."""

_NUMBER = struct.Struct("<q")


class Outstanding:
    """The number of this process, written by any of its threads."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0
        self._memory: mmap.mmap | None = None
        self._draining: Path | None = None
        if folder := os.environ.get(FOLDER):
            file = Path(folder) / str(os.getpid())
            self._draining = Path(folder) / DRAINING
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_NUMBER.pack(0))
            with file.open("r+b") as opened:
                self._memory = mmap.mmap(opened.fileno(), _NUMBER.size)

    @property
    def is_draining(self) -> bool:
        """Whether new requests must be refused."""
        return self._draining is not None and self._draining.exists()

    def accept(self, requests: int) -> bool:
        """Count new requests, and say whether to work on them; if not, each must be refused by `answer`.

        They are counted before the mark is looked for: who sets it and counts then either sees them or is seen.
        """
        self.add(requests)
        return not self.is_draining

    def add(self, requests: int) -> None:
        """Count requests that are accepted, or, with a negative number, answered."""
        with self._lock:
            self._count += requests
            if self._memory is not None:
                _NUMBER.pack_into(self._memory, 0, self._count)

    def answer(self, send: Callable[[], object], send_error: Callable[[], object]) -> None:
        """Answer one request that was counted.

        A request whose answer is never sent hangs its client (Triton 24.10). If neither the answer nor an error can be
        sent, this process ends with the request outstanding, so that the supervisor starts the server again.

        Args:
            send: sends the answer, or raises.
            send_error: sends an error instead.
        """
        for attempt in (send, send_error):
            try:
                attempt()
            except Exception:
                traceback.print_exc()
            else:
                self.add(-1)
                return
        _end_process()


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)  # Python would join its threads first


def outstanding(folder: Path, process: int) -> int:
    """Requests that a process, dead or alive, has accepted and not answered; 0 for one that never counted."""
    try:
        return int(_NUMBER.unpack((folder / str(process)).read_bytes())[0])
    except (OSError, struct.error):
        return 0


def total(folder: Path) -> int:
    """The same, of all processes that count and are alive."""
    processes = [int(file.name) for file in folder.glob("[0-9]*")]
    return sum(outstanding(folder, process) for process in processes if is_alive(process_state(process)))


def drain(folder: Path) -> None:
    """Have models that make inner calls refuse new requests."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DRAINING).touch()


def forget(folder: Path, process: int) -> None:
    """Remove the number of a process that is gone."""
    (folder / str(process)).unlink(missing_ok=True)
