"""Load on coroutines whose behaviour is known, without a server."""

import asyncio
import itertools
import time

import numpy as np
import pytest

from readability_triton.compare.load import (
    Block,
    Sample,
    poisson_schedule,
    run_beside,
    run_closed,
    run_open,
    steady_window,
)


class Service:
    """Answers after a while, and remembers how many were asking at once."""

    def __init__(self, seconds: float = 0.002) -> None:
        self.seconds, self.now, self.most, self.asked = seconds, 0, 0, []

    async def __call__(self, request: int) -> None:
        self.asked.append(request)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        if request == 13:
            raise RuntimeError("unlucky")


@pytest.mark.parametrize("concurrency", [1, 3, 8, 50])
def test_a_closed_loop_keeps_its_concurrency_and_sends_every_request_once(concurrency):
    service = Service()
    block = asyncio.run(run_closed(service, range(20), concurrency))
    assert service.most == min(concurrency, 20)
    assert service.asked == list(range(20)) == [sample.request for sample in block.samples]
    assert block.n_answered == 19
    assert [sample.error for sample in block.samples if sample.error] == ["RuntimeError: unlucky"]


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_a_closed_loop_counts_what_came_while_all_callers_were_busy(concurrency):
    block = asyncio.run(run_closed(Service(), range(20, 40), concurrency))
    done = sorted(sample.done for sample in block.samples)
    left_out = 0 if concurrency == 1 else 2 * concurrency - 1
    assert len(block.counted) == 20 - left_out
    assert block.throughput == pytest.approx(len(block.counted) / block.counted_seconds)
    if concurrency > 1:
        assert block.counted_seconds == pytest.approx(done[-concurrency] - done[concurrency - 1])


def test_a_window_is_unbiased_where_requests_take_unequal_time():
    # Two callers, each request 1 or 3 s: 1 a second in the long run, less with the end, when one caller is idle.
    rng = np.random.default_rng(0)
    free, samples = [0.0, 0.0], []
    for number in range(4000):
        caller = int(np.argmin(free))
        begin, free[caller] = free[caller], free[caller] + rng.choice([1.0, 3.0])
        samples.append(Sample(number, begin, begin, free[caller]))
    rates = [
        Block(part, 0, 1.0, 0.0, window=steady_window(part, 2)).throughput
        for part in (samples[at : at + 20] for at in range(0, 4000, 20))
    ]
    assert np.mean(rates) == pytest.approx(1.0, abs=4 * np.std(rates) / np.sqrt(len(rates)))


def test_a_mixed_load_lasts_as_long_as_the_other_client_and_counts_its_texts():
    service, other = Service(0.002), Service(0.05)
    block = asyncio.run(run_beside(service, itertools.cycle(range(3)), 2, other, [1, 13, 2], rows=256))
    assert other.asked == [1, 13, 2]
    assert (other.most, service.most) == (1, 2)
    assert block.beside == 2 * 256  # the request of an error has no texts
    assert block.seconds >= 0.15
    assert len(block.samples) == len(service.asked) >= 4
    assert [sample.due for sample in block.samples] == sorted(sample.due for sample in block.samples)


def test_an_open_loop_sends_when_due_however_slow_the_answers_are():
    service = Service(seconds=0.2)
    schedule = [(number * 0.01, number) for number in range(10)]
    block = asyncio.run(run_open(service, schedule))
    assert service.most == 10
    assert [sample.due for sample in block.samples] == [due for due, _ in schedule]
    assert all(sample.sent >= sample.due for sample in block.samples)
    assert all(sample.latency >= 0.2 for sample in block.samples)


def test_requests_that_come_due_while_too_many_are_in_flight_are_counted_and_not_sent():
    service = Service(seconds=0.3)
    block = asyncio.run(run_open(service, [(number * 0.001, number) for number in range(10)], most_in_flight=4))
    assert (len(block.samples), block.unsent, service.most) == (4, 6, 4)


def test_latency_counts_from_when_a_request_was_due_also_if_the_client_was_late():
    async def busy(request: int) -> None:
        if request == 0:
            time.sleep(0.1)  # holds up the loop, as a busy client would

    block = asyncio.run(run_open(busy, [(0.0, 0), (0.01, 1)]))
    assert block.samples[1].sent - block.samples[1].due > 0.08
    assert block.samples[1].latency > 0.08


def test_a_cancelled_open_loop_leaves_nothing_running():
    async def scenario() -> int:
        service = Service(seconds=10)
        task = asyncio.create_task(run_open(service, [(0.0, 0), (0.0, 1), (60.0, 2)]))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1


def test_arrivals_are_a_poisson_process():
    schedule = poisson_schedule(50.0, 200.0, itertools.cycle(range(7)), 0)
    due = np.array([at for at, _ in schedule])
    gaps = np.diff(due)
    assert len(due) == pytest.approx(10_000, rel=0.04)
    assert gaps.mean() == pytest.approx(0.02, rel=0.04)
    assert gaps.std() == pytest.approx(0.02, rel=0.06)
    assert due.min() >= 0
    assert due.max() < 200
    assert [request for _, request in schedule[:9]] == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_an_open_loop_whose_service_falls_behind_may_end_early():
    service = Service(seconds=0.2)
    schedule = [(number * 0.001, number) for number in range(1000)]
    block = asyncio.run(run_open(service, schedule, most_in_flight=4, most_unsent=6))
    assert (len(block.samples), block.unsent) == (4, 6)
