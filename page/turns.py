"""Bound how much is in work: requests take turns, and further ones are refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from readability_triton.client.errors import ServerBusyError


class Turns:
    """Lets `at_once` requests work and `waiting` further ones wait, first come, first served.

    Args:
        at_once: at least 1.
        waiting: at least 0.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._working = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._count = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, which ends with the block.

        Raises:
            ServerBusyError: if as many requests wait as may.
        """
        if self._count >= self._most:
            raise ServerBusyError(f"{self._count} requests wait for an answer already: try again in a moment")
        self._count += 1
        try:
            async with self._working:
                yield
        finally:
            self._count -= 1
