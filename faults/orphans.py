"""Stubs that outlive their server."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from readability_triton.faults.watch import wait_for
from readability_triton.serving.stubs import is_alive, process_state

EXIT_LIMIT_S = 3.0


def end_orphans(stubs: Sequence[int]) -> str:
    """A word on those of these processes that live three seconds after their server ended; they are killed."""

    def left() -> list[int]:
        return [pid for pid in stubs if is_alive(process_state(pid))]

    if wait_for(lambda: not left(), EXIT_LIMIT_S):
        return ""
    orphans = left()
    for pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return f"{len(orphans)} of {len(stubs)} stubs outlived the server"
