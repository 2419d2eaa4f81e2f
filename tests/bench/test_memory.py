"""What `bench-memory` and `bench-bulk` read memory with."""

import os
import subprocess
import sys

from readability_triton.bench.memory import memory_by_process, memory_of


def test_memory_counts_a_process_and_what_it_started() -> None:
    inner = "import sys; kept = bytearray(60_000_000); print(1, flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    before = memory_of(os.getpid())
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert memory_of(process.pid) > 60_000_000
        assert memory_of(os.getpid()) > before + 60_000_000
        process.stdin.close()


def test_a_process_that_has_ended_takes_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert memory_by_process(process.pid) == {}
    assert memory_of(process.pid) == 0
