"""The loop does what asyncio's own does, for all that a policy may wait for."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bls.loop import CallLoop

SAFETY_S = 10


@pytest.fixture
def loop() -> Iterator[CallLoop]:
    made = CallLoop()
    yield made
    made.close()


def from_thread(loop: asyncio.AbstractEventLoop, value: object, after_s: float = 0.0) -> "asyncio.Future[object]":
    """A future whose result a thread gives."""
    future: asyncio.Future[object] = loop.create_future()

    def work() -> None:
        time.sleep(after_s)
        loop.call_soon_threadsafe(future.set_result, value)

    threading.Thread(target=work).start()
    return future


def test_a_thread_wakes_the_loop(loop: CallLoop) -> None:
    async def main() -> object:
        async with asyncio.timeout(SAFETY_S):
            return await from_thread(loop, "done", after_s=0.02)

    assert loop.run_until_complete(main()) == "done"


def test_timers_fire_although_no_thread_does_anything(loop: CallLoop) -> None:
    async def main() -> None:
        async with asyncio.timeout(0.01):
            await loop.create_future()

    with pytest.raises(TimeoutError):
        loop.run_until_complete(main())


def test_what_comes_after_its_run_is_done_in_the_next(loop: CallLoop) -> None:
    late: list[int] = []

    async def nothing() -> None:
        await asyncio.sleep(0)

    loop.run_until_complete(nothing())
    loop.call_soon_threadsafe(late.append, 1)
    assert not late
    loop.run_until_complete(nothing())
    assert late == [1]


@given(st.lists(st.integers(0, 3), max_size=30))
def test_every_call_of_any_number_of_threads_is_answered(delays_ms: list[int]) -> None:
    loop = CallLoop()

    async def main() -> list[object]:
        async with asyncio.timeout(SAFETY_S):
            return await asyncio.gather(*(from_thread(loop, n, ms / 1000) for n, ms in enumerate(delays_ms)))

    assert loop.run_until_complete(main()) == list(range(len(delays_ms)))
    loop.close()


def test_a_policy_that_would_wait_for_a_socket_is_told_that_it_cannot(loop: CallLoop) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs, pytest.raises(NotImplementedError, match="stages only"):
        loop.run_until_complete(loop.sock_recv(ours, 1))
