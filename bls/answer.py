"""An answer that is sent exactly once, from whatever thread."""

import threading
from collections.abc import Callable
from typing import Any

from readability_triton.bls.batch import Outcome
from readability_triton.bls.policy import RequestError
from readability_triton.bls.row_queue import never
from readability_triton.bls.stages import StageError
from readability_triton.stages.errors import InvalidRowError

Answer = Outcome | InvalidRowError | RequestError | StageError
"""Of `bls_pipeline`."""

Respond = Callable[[Any], None]
"""Sends an answer, or the exception that takes its place."""


class AnswerOnce:
    """Calls `respond` with the first answer; later ones are dropped. Any thread may call.

    Args:
        respond: sends an answer.
        is_cancelled: asks whether the client is gone. It is never called after `respond`, nor at the same time: in
            Triton 24.10 that ends the server.
    """

    def __init__(self, respond: Respond, is_cancelled: Callable[[], bool] = never) -> None:
        self._respond, self._is_cancelled = respond, is_cancelled
        self._lock, self._is_sent = threading.Lock(), False

    def send(self, answer: Any) -> bool:
        """Whether this answer was the first."""
        with self._lock:
            if self._is_sent:
                return False
            self._is_sent = True
        self._respond(answer)
        return True

    def is_cancelled(self) -> bool:
        """Whether the client is gone and has no answer yet."""
        with self._lock:
            return not self._is_sent and self._is_cancelled()
