"""Compute for a browser, until it leaves."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

Result = TypeVar("Result")


async def computed_for(request: Request, compute: Callable[[Callable[[], None]], Result]) -> Result:
    """Compute in a thread what a browser asked for.

    Args:
        request: the browser's; its body was read.
        compute: gets a function to call between its steps, which raises `ClientDisconnect` once the browser has left
            or the page stops.

    Raises:
        ClientDisconnect: if the browser left.
        Exception: as `compute` does.
    """
    left = threading.Event()

    def check() -> None:
        if left.is_set():
            raise ClientDisconnect

    watching = asyncio.create_task(_watch(request, left))
    try:
        return await run_in_threadpool(compute, check)
    finally:
        left.set()  # where this coroutine is cancelled because the page stops, the thread still computes
        watching.cancel()


async def _watch(request: Request, left: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()
