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
"""An instance that was given nothing for so long after a batch had nobody waiting."""


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
        self._earliest = self._taken = self._finished = monotonic()
        self._rows = 0

    def take(self, n_rows: int) -> None:
        """A batch of so many rows begins now."""
        now = self._monotonic()
        if now - self._finished > IDLE_S:
            self._earliest = now
        elif self._rows + n_rows <= self._max_rows:
            self._earliest = self._taken  # else some may not have fitted into the last batch, and are older
        self._taken, self._rows = now, n_rows

    def finish(self) -> None:
        """The batch is done."""
        self._finished = self._monotonic()

    def waited_s(self, sent_unix_s: float | str | None = None) -> float:
        """How long a request of the batch just taken has waited, in seconds.

        Args:
            sent_unix_s: what the client says. A clock that is wrong does little harm: it cannot make a request older
                than the instance knows it to be. Without it, or where it is no number, the longest possible time is
                assumed.
        """
        longest = self._taken - self._earliest
        sent = _number(sent_unix_s)
        return longest if math.isnan(sent) else min(longest, max(0.0, self._unix() - sent))


def _number(value: float | str | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan
