"""What a replica of the server takes: memory of all processes of `readability serve`, idle and under load."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from readability_triton.bench.memory import memory_by_process, memory_of
from readability_triton.client.scorer import Scorer
from readability_triton.serving.stubs import find_stubs

COMMAND = "readability serve"
SERVER = "tritonserver"
SAMPLE_S = 1.0
"""Between readings under load."""

STOP_S = 60.0


class NotServingError(RuntimeError):
    """`readability serve` ended before it was ready."""


@dataclass(frozen=True)
class Load:
    """Requests that a replica is measured under.

    Attributes:
        texts: taken in turn.
        n_requests: in all.
        rows: texts of a request.
        in_flight: requests at a time.
    """

    texts: Sequence[str]
    n_requests: int
    rows: int
    in_flight: int

    def requests(self) -> Iterator[list[str]]:
        """The texts of each request."""
        texts = cycle(self.texts)
        return (list(islice(texts, self.rows)) for _ in range(self.n_requests))


@dataclass(frozen=True)
class ReplicaMemory:
    """Proportional set sizes in bytes.

    Attributes:
        idle: by process, ready and before the first request.
        after: by process, after the last answer.
        peak: of all processes together, the most that was read under load.
    """

    idle: dict[str, int]
    after: dict[str, int]
    peak: int


def measure_replica(
    repository: Path, pipeline: str, load: Load, on_progress: Callable[[int], None] = lambda _: None
) -> ReplicaMemory:
    """Start a server, send it requests for one pipeline, and read its memory.

    Args:
        repository: the model repository, built.
        pipeline: model that is asked.
        load: what it is asked.
        on_progress: progress callback, called with the number of new answers.

    Raises:
        NotServingError: if the server does not start.
        ReadabilityError: if a request has no answer.
    """
    with _serving(repository) as (pid, grpc_url):
        idle, peak = _by_name(pid), _Peak(pid)
        with peak, Scorer(pipeline, None, grpc_url, 512) as scorer, ThreadPoolExecutor(load.in_flight) as threads:
            for _ in threads.map(scorer.score, load.requests()):
                on_progress(1)
        return ReplicaMemory(idle, _by_name(pid), peak.n_bytes)


@contextmanager
def _serving(repository: Path) -> Iterator[tuple[int, str]]:
    """The process of `readability serve` and its gRPC address."""
    command = [sys.executable, "-m", "readability_triton.cli.main", "serve", f"--model-repository={repository}"]
    ports = [f"--{name}-port=0" for name in ("http", "grpc", "metrics")]
    with subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            addresses = dict(line.split() for line in islice(process.stdout or (), 3))
            if "grpc" not in addresses:
                _, errors = process.communicate()
                raise NotServingError(f"readability serve ended with exit code {process.returncode}: {errors.strip()}")
            yield process.pid, addresses["grpc"]
            process.terminate()
            process.communicate(timeout=STOP_S)
        finally:
            process.kill()


def _by_name(pid: int) -> dict[str, int]:
    sizes = memory_by_process(pid)
    models = {stub.pid: stub.model for each in sizes for stub in find_stubs(each)}
    named: dict[str, int] = {}
    for each, n_bytes in sizes.items():
        name = COMMAND if each == pid else models.get(each, SERVER)
        named[name] = named.get(name, 0) + n_bytes
    return named


class _Peak:
    """Reads the memory of a process and its descendants on a thread, and keeps the highest."""

    def __init__(self, pid: int) -> None:
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.n_bytes = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while True:
            self.n_bytes = max(self.n_bytes, memory_of(self._pid))
            if self._stop.wait(SAMPLE_S):
                return
