"""Turns are taken in order, bounded, and given back."""

import asyncio

import pytest

from readability_triton.client.errors import ServerBusyError
from readability_triton.page.turns import Turns


async def _work(turns: Turns, number: int, log: list[int], may_end: asyncio.Event) -> None:
    async with turns.turn():
        log.append(number)
        await may_end.wait()


def test_first_come_first_served_and_no_more_than_may_wait():
    async def run() -> None:
        turns, log, may_end = Turns(1, 2), [], asyncio.Event()
        tasks = [asyncio.create_task(_work(turns, number, log, may_end)) for number in range(4)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert log == [0]
        with pytest.raises(ServerBusyError, match="3 requests wait"):
            await tasks[3]
        may_end.set()
        await asyncio.gather(*tasks[:3])
        assert log == [0, 1, 2]

    asyncio.run(run())


@pytest.mark.parametrize("ending", [ValueError, asyncio.CancelledError])
def test_a_turn_ends_however_the_work_ends(ending):
    async def run() -> None:
        turns = Turns(1, 0)
        for _ in range(3):
            with pytest.raises(ending):
                async with turns.turn():
                    raise ending
        async with turns.turn():
            pass

    asyncio.run(run())


def test_one_that_gives_up_while_it_waits_leaves_its_place():
    async def run() -> None:
        turns, log, may_end = Turns(1, 1), [], asyncio.Event()
        first, second = (asyncio.create_task(_work(turns, number, log, may_end)) for number in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.create_task(_work(turns, 2, log, may_end))
        may_end.set()
        await asyncio.gather(first, third)
        assert log == [0, 2]

    asyncio.run(run())
