"""What the processes of a server take: resident memory, open files, shared memory."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from readability_triton.serving.stubs import PROC, find_stubs, shared_memory

SERVER = "tritonserver"
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Reading:
    """One look at a server.

    Attributes:
        requests: how many had been answered by then.
        values: by name: `<process> memory` in MB of anonymous pages, private to the process, `<process>
            files` as a number, and `shared memory` in MB and `shared-memory regions` as a number, over all processes.
    """

    requests: int
    values: dict[str, float]


def read(server: int, requests: int) -> Reading:
    """Look at process `server` and its stubs now."""
    values: dict[str, float] = {}
    for pid, name in [(server, SERVER), *((stub.pid, stub.model) for stub in find_stubs(server))]:
        values[f"{name} memory"] = _anonymous_mb(pid)
        values[f"{name} files"] = len(os.listdir(PROC / str(pid) / "fd"))  # noqa: PTH208  # counted, not looked at
    regions = shared_memory(server)
    values["shared memory"] = _allocated_mb(regions)
    values["shared-memory regions"] = len(regions)
    return Reading(requests, values)


def _anonymous_mb(pid: int) -> float:
    """Resident pages that are no file's: a shared region counts once, in `shared memory`, not in each process."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _allocated_mb(regions: Iterable[Path]) -> float:
    return sum(region.stat().st_blocks * 512 for region in regions if region.exists()) / MEGABYTE
