"""Several calls at a time, a bounded number, with their results in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Calls begun for each thread before the first result is taken, so that none waits for a slow neighbour."""


def in_order(call: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`map`, by so many threads; with one, in the thread of the caller.

    `items` is read no further ahead than the threads need. An error is raised in its place in the order; what has not
    begun by then is not begun any more.
    """
    if workers <= 1:
        yield from map(call, items)
        return
    rest = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="score")
    try:
        begun: deque[Future[Result]] = deque(pool.submit(call, item) for item in islice(rest, workers * AHEAD))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(call, item) for item in islice(rest, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


async def in_order_async(
    call: Callable[[Item], Awaitable[Result]], items: Sequence[Item], workers: int
) -> list[Result]:
    """The same with coroutines; the error of the first item that has one is raised."""
    if workers == 1:
        return [await call(item) for item in items]
    free = asyncio.Semaphore(workers)

    async def limited(item: Item) -> Result:
        async with free:
            return await call(item)

    tasks = [asyncio.ensure_future(limited(item)) for item in items]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
