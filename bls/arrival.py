"""How long a request has waited, as well as a model can know it.

Triton does not tell a Python model when a request arrived. But an instance that takes every waiting request at once
knows that what it takes now came after it last did, and a client may say when it sent the request.
"""

import math
import time
from collections.abc import Callable

SENT = "sent_unix_s"
"""Request parameter: when the client sent the request, in seconds since 1970 by its own clock."""

IDLE_S = 0.01
"""An instance that was given nothing for so long after a batch most likely had nobody waiting."""

FORGOTTEN_S = 1.0
"""It certainly had nobody waiting after so long: Triton has been seen to leave a request lying for 0.4 s."""


class Arrivals:
    """When an instance took its batches, and since when the requests of the last one may have waited.

    Args:
        max_rows: what the model takes at once; rows beyond that stay in the queue.
        monotonic: a clock in seconds that never goes back.
        unix: seconds since 1970.
    """

    def __init__(
        self,
        max_rows: int,
        monotonic: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self._max_rows, self._monotonic, self._unix = max_rows, monotonic, unix
        self._likely = self._possible = self._taken = self._finished = monotonic()
        self._rows = 0

    def take(self, n_rows: int) -> None:
        """A batch of so many rows begins now."""
        now = self._monotonic()
        fits = self._rows + n_rows <= self._max_rows  # else some may have been left by the last batch, and are older
        self._likely = self._since(now, IDLE_S, self._taken if fits else self._likely)
        self._possible = self._since(now, FORGOTTEN_S, self._taken if fits else self._possible)
        self._taken, self._rows = now, n_rows

    def _since(self, now: float, idle_s: float, earliest: float) -> float:
        return now if now - self._finished > idle_s else earliest

    def finish(self) -> None:
        """The batch is done."""
        self._finished = self._monotonic()

    def waited_s(self, sent_unix_s: float | str | None = None) -> float:
        """How long a request of the batch just taken has waited, in seconds.

        Args:
            sent_unix_s: what the client says. A clock that is wrong does little harm: it cannot make a request older
                than the instance knows it to be. Without it, or where it is no number, the longest likely time is
                assumed.
        """
        sent = _number(sent_unix_s)
        if math.isnan(sent):
            return self._taken - self._likely
        return min(self._taken - self._possible, max(0.0, self._unix() - sent))


def _number(value: float | str | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan
