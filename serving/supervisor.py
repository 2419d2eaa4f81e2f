"""Serve a model again whose process has died, which Triton's Python backend does not do by itself.

Loading the model again is enough if the process had answered all its requests, or if Triton itself fails those that it
had not: those in `execute`. A model that answers later, as `bls_pipeline` and the drop-in `pytorch` backend do, leaves
clients that only the end of the server frees (Triton 24.10). Then the server is killed and started again.
"""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from readability_triton.serving import outstanding
from readability_triton.serving.control import ControlError, ModelControl
from readability_triton.serving.errors import ServingError
from readability_triton.serving.stubs import Stub, find_stubs, is_alive, process_state

POLL_S = 0.25
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
PATIENCE_S = 10.0
"""How long stopping waits for a model that is being loaded."""

CALM_S = 60.0
"""A restart so long after the last one happens at once; sooner, it waits: what kills a process may come again."""


class Supervisor:
    """Watches a server's stubs within a `with` block.

    A stub that died has its model loaded again, or, if it had accepted requests that it has not answered, the server is
    started again. So does one that two looks in a row found stopped; it is killed first.
    Triton gives up on it after a second, and if it went on later, it would answer the next request with what it owed to
    the last.

    Args:
        server: process of the server, which is ready: as many stubs a model as it has now, it should have.
        control: its model control.
        report: called, from other threads, with a line about each model that was loaded again or did not load, and
            about each restart.
        restart: kills the server, calls its argument, starts the server again, and returns its new process.
        folder: of `serving.outstanding`.
    """

    def __init__(
        self,
        server: int,
        control: ModelControl,
        report: Callable[[str], None],
        restart: Callable[[Callable[[], object]], int],
        folder: Path,
    ) -> None:
        self._server = server
        self._control = control
        self._report = report
        self._restart, self._folder = restart, folder
        self._restarted = float("-inf")
        self._restart_pauses = _pauses()
        self._stubs = find_stubs(server)
        self._wanted = Counter(stub.model for stub in self._stubs)
        self._stopped: set[int] = set()  # stubs that the last look found stopped
        self._replaced: set[int] = set()  # stubs of models loaded again that are answering their last requests
        self._recoveries: dict[str, _Recovery] = {}
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> "Supervisor":
        self._watcher.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop watching; a model that is being loaded is waited for, but ten seconds at most."""
        self._ending.set()
        if self._watcher.is_alive():
            self._watcher.join()
        deadline = time.monotonic() + PATIENCE_S
        for recovery in self._recoveries.values():
            recovery.join(max(0.0, deadline - time.monotonic()))

    def _watch(self) -> None:
        while not self._ending.wait(POLL_S):
            self.poll()

    def poll(self) -> None:
        """Look at the stubs once, and begin what must be done about them."""
        self._end_recoveries()
        before = self._stubs
        self._look()
        if not is_alive(process_state(self._server)):
            return  # Its stubs went with it. This is asked last: what was seen before, it was alive for.
        killed = self._kill_stopped()
        gone = [stub for stub in before if stub in killed or not stub.again().is_alive]
        if lost := self._lost(gone):
            self._start_again(lost)
            return
        alive = Counter(stub.model for stub in self._stubs if stub not in killed)
        stopped = {stub.model for stub in killed}
        for model, count in self._wanted.items():
            if alive[model] < count and model not in self._recoveries:
                self._recover(model, "its process was stopped" if model in stopped else "its process died")

    def _lost(self, gone: list[Stub]) -> Counter[str]:
        """Requests without an answer of stubs that are gone, by model."""
        lost = Counter({stub.model: outstanding.outstanding(self._folder, stub.pid) for stub in gone})
        for stub in gone:
            outstanding.forget(self._folder, stub.pid)
        return +lost

    def _start_again(self, lost: Counter[str]) -> None:
        """Restart the server, at once or, if that has just happened, after a pause."""
        start = time.monotonic()
        if start - self._restarted > CALM_S:
            self._restart_pauses, pause = _pauses(), 0.0
        else:
            pause = next(self._restart_pauses)
        what = ", ".join(f"{model} with {count} requests unanswered" for model, count in lost.items())
        self._report(f"the process died of {what}; starting the server again" + f" in {pause:.0f} s" * bool(pause))
        try:
            self._server = self._restart(lambda: self._ending.wait(pause))
        except (ServingError, TimeoutError, OSError) as error:
            self._report(f"the server does not start: {error}")
            return
        finally:
            self._restarted = time.monotonic()
        self._stubs = find_stubs(self._server)
        self._wanted = Counter(stub.model for stub in self._stubs)
        self._stopped.clear()
        self._replaced.clear()
        self._report(f"the server is ready again after {self._restarted - start:.1f} s")

    def _look(self) -> None:
        """Bring the list of stubs up to date. New ones are searched for when some are missing only: it takes longer."""
        known = [stub.again() for stub in self._stubs if stub.pid not in self._replaced]
        stubs = [stub for stub in known if stub.is_alive]
        if Counter(stub.model for stub in stubs) != self._wanted:
            found = find_stubs(self._server)
            self._replaced &= {stub.pid for stub in found}
            stubs = [stub for stub in found if stub.pid not in self._replaced]
        self._stubs = stubs

    def _kill_stopped(self) -> list[Stub]:
        stopped = [stub for stub in self._stubs if stub.is_stopped]
        killed = [stub for stub in stopped if stub.pid in self._stopped]
        for stub in killed:
            with suppress(ProcessLookupError):
                os.kill(stub.pid, signal.SIGKILL)
        self._stopped = {stub.pid for stub in stopped}
        return killed

    def _recover(self, model: str, cause: str) -> None:
        old = {stub.pid for stub in self._stubs if stub.model == model}
        self._recoveries[model] = _Recovery(model, cause, old, self._control, self._report, self._ending)
        self._recoveries[model].start()

    def _end_recoveries(self) -> None:
        for model, recovery in list(self._recoveries.items()):
            if not recovery.is_alive():
                self._replaced |= recovery.old
                del self._recoveries[model]


class _Recovery(threading.Thread):
    """Loads one model again, as often as it takes, in a thread of its own: the others are watched meanwhile.

    Attributes:
        old: the model's stubs from before.
    """

    def __init__(
        self,
        model: str,
        cause: str,
        old: set[int],
        control: ModelControl,
        report: Callable[[str], None],
        ending: threading.Event,
    ) -> None:
        super().__init__(name=f"recovery of {model}", daemon=True)
        self.old = old
        self._model = model
        self._cause = cause
        self._control = control
        self._report = report
        self._ending = ending

    def run(self) -> None:
        for pause in _pauses():
            if self._control.is_live() and self._reload(pause):
                return
            if self._ending.wait(pause):
                return

    def _reload(self, pause: float) -> bool:
        """Whether the model is loaded; if not, the next attempt is in `pause` seconds."""
        start = time.monotonic()
        try:
            self._control.reload(self._model)
        except ControlError as error:
            if self._control.is_live():  # Else the server is ending, and nothing is wrong with the model.
                self._report(f"{self._model}: {self._cause}; it does not load: {error}; next attempt in {pause:.0f} s")
            return False
        self._report(f"{self._model}: {self._cause}; reloaded in {time.monotonic() - start:.1f} s")
        return True


def _pauses() -> Iterator[float]:
    """Seconds before the next attempt, growing."""
    pause = FIRST_PAUSE_S
    while True:
        yield min(pause, LONGEST_PAUSE_S)
        pause *= 2
