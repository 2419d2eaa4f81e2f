"""Answers requests whose deadline has passed, even if the event loop that should have done so stands still."""

import math
import threading
import time
from collections.abc import Callable

from readability_triton.bls.answer import AnswerOnce
from readability_triton.bls.stages import StageLateError

GRACE_S = 1.0
"""The event loop answers at the deadline; only later than this does the watchdog."""

EVERY_S = 0.5


class Watchdog:
    """Knows the requests without an answer. `start` begins a thread that looks at them; any thread may add and remove.

    Args:
        clock: that of the deadlines, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadlines: dict[AnswerOnce, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Look every half second."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join()

    def add(self, answer: AnswerOnce, deadline: float) -> None:
        """Watch a request."""
        if not math.isinf(deadline):
            self._deadlines[answer] = deadline

    def remove(self, answer: AnswerOnce) -> None:
        """Stop watching it."""
        self._deadlines.pop(answer, None)

    def look(self) -> int:
        """Answer what is overdue; how many requests that were."""
        now = self._clock()
        overdue = [answer for answer, deadline in list(self._deadlines.items()) if now > deadline + GRACE_S]
        for answer in overdue:
            self.remove(answer)
            answer.send(StageLateError("bls_pipeline", "no answer in time: the event loop does not respond"))
        return len(overdue)

    def _watch(self) -> None:
        while not self._ending.wait(EVERY_S):
            self.look()
