"""The event loop of an instance of the pipeline: it waits for calls that threads make, and for nothing else."""

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any


class CallLoop(asyncio.SelectorEventLoop):
    """An event loop that threads wake through a queue.

    asyncio's own is woken through a socket: two more system calls and a switch more between threads, for each of a
    request's calls about 0.2 ms on a small machine. Sockets cannot be waited for here: doing so raises
    NotImplementedError.
    """

    def __init__(self) -> None:
        self._queue = SimpleQueue[Callable[[], object]]()
        super().__init__(_QueueSelector(self._queue))

    def call_soon_threadsafe(  # type: ignore[override]  # typeshed has it generic, which mypy cannot match here
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> None:
        """Have the loop's own thread call this."""
        self._queue.put(partial(self.call_soon, callback, *args, context=context))


class _QueueSelector(selectors.DefaultSelector):
    def __init__(self, queue: SimpleQueue[Callable[[], object]]) -> None:
        super().__init__()
        self._queue = queue

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # the first is the loop's own
            raise NotImplementedError("a policy's event loop waits for stages only, not for sockets")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        wait = timeout is None or timeout > 0
        try:
            self._queue.get(wait, timeout if wait else None)()
            while True:
                self._queue.get_nowait()()
        except Empty:
            return []
