"""Put load on one arm: a closed loop at a concurrency, or an open loop at a rate, arrivals being a Poisson process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

MOST_IN_FLIGHT = 512
"""Open loop: a request that comes due while so many wait for answers is not sent, but counted."""


@dataclass(frozen=True)
class Closed:
    """So many callers, each of which sends its next request when it has the answer to the last."""

    concurrency: int

    def __str__(self) -> str:
        return f"closed loop, concurrency {self.concurrency}"


@dataclass(frozen=True)
class Open:
    """Requests come due at random times, so many a second on average, whether or not earlier ones are answered."""

    rate: float

    def __str__(self) -> str:
        return f"open loop, {self.rate:.3g} requests a second"


@dataclass(frozen=True)
class Beside:
    """So many callers in a closed loop, next to one client that sends `rows` texts a request, one after the other."""

    concurrency: int
    rows: int

    def __str__(self) -> str:
        return f"closed loop, concurrency {self.concurrency}, beside one client of {self.rows} texts a request"


Load = Closed | Open | Beside


class Sample(NamedTuple):
    """One request; times are seconds since the block began.

    Attributes:
        request: its number in the workload.
        due: when it was to be sent; in a closed loop, when it was sent.
        sent: when it was sent.
        done: when its answer was there, or its error.
        error: what went wrong, None if nothing.
    """

    request: int
    due: float
    sent: float
    done: float
    error: str | None = None

    @property
    def latency(self) -> float:
        """Seconds from when the request was due: a server that stalls is not flattered by requests held back."""
        return self.done - self.due


@dataclass(frozen=True)
class Block:
    """What one arm did in one block.

    Attributes:
        samples: requests that were sent, in the order in which they came due.
        unsent: requests that came due while too many were in flight.
        seconds: how long the block took, to the last answer.
        client_seconds: processor time that the client spent meanwhile.
        beside: texts that the other client of a load `Beside` got scores for.
        window: the part of the block that figures are of, in seconds since it began: after the first burst of a closed
            loop and before its callers run out of requests; None for all of it.
        answers: request numbers and answers, those only that differ from what the same request got before.
    """

    samples: Sequence[Sample]
    unsent: int
    seconds: float
    client_seconds: float
    beside: int = 0
    window: tuple[float, float] | None = None
    answers: Sequence[tuple[int, bytes]] = field(default=(), repr=False)

    @property
    def n_answered(self) -> int:
        """Requests that got an answer, in the window or not."""
        return sum(sample.error is None for sample in self.samples)

    @property
    def counted(self) -> list[Sample]:
        """Answered requests whose answer came within the window."""
        answered = [sample for sample in self.samples if sample.error is None]
        if self.window is None:
            return answered
        begin, end = self.window
        return [sample for sample in answered if begin < sample.done <= end]

    @property
    def counted_seconds(self) -> float:
        """Length of the window."""
        return self.seconds if self.window is None else self.window[1] - self.window[0]

    @property
    def throughput(self) -> float:
        """Answered requests a second, within the window."""
        return len(self.counted) / self.counted_seconds


Send = Callable[[int], Awaitable[Any]]


async def run_closed(send: Send, requests: Sequence[int], concurrency: int) -> Block:
    """Send these requests, `concurrency` at a time."""
    clock, samples = _Clock(), list[tuple[int, Sample]]()
    queue = iter(enumerate(requests))

    async def caller() -> None:
        for order, request in queue:
            samples.append((order, await _sample(send, request, clock(), clock)))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(requests))):
            group.create_task(caller())
    in_order = [sample for _, sample in sorted(samples)]
    return clock.block(in_order, 0, window=steady_window(in_order, concurrency))


def steady_window(samples: Sequence[Sample], concurrency: int) -> tuple[float, float] | None:
    """When a closed loop had `concurrency` requests in flight and the burst that it began with was answered.

    None, for all of the block, if there were too few requests for such a time.
    """
    if concurrency == 1 or len(samples) < 3 * concurrency:
        return None
    done = sorted(sample.done for sample in samples)
    return done[concurrency - 1], done[len(done) - concurrency]


async def run_beside(
    send: Send, requests: Iterator[int], concurrency: int, send_beside: Send, beside: Sequence[int], rows: int
) -> Block:
    """Send one request after the other, `concurrency` at a time, until another client has the answers to its own.

    Args:
        send: sends one of `requests`.
        requests: as many as may be needed.
        concurrency: callers in the closed loop.
        send_beside: sends one of `beside`.
        beside: requests of the other client, sent one after the other.
        rows: texts in each of these.
    """
    clock, samples, answered = _Clock(), list[Sample](), list[Sample]()

    async def caller() -> None:
        while len(answered) < len(beside):
            samples.append(await _sample(send, next(requests), clock(), clock))

    async def other() -> None:
        for request in beside:
            answered.append(await _sample(send_beside, request, clock(), clock))

    async with asyncio.TaskGroup() as group:
        group.create_task(other())
        for _ in range(concurrency):
            group.create_task(caller())
    n_rows = rows * sum(sample.error is None for sample in answered)
    return clock.block(sorted(samples, key=lambda sample: sample.due), 0, n_rows)


async def run_open(
    send: Send,
    schedule: Sequence[tuple[float, int]],
    most_in_flight: int = MOST_IN_FLIGHT,
    most_unsent: int | None = None,
) -> Block:
    """Send each request when it is due.

    Args:
        send: sends a request.
        schedule: seconds since the beginning, rising, and request numbers.
        most_in_flight: a request that comes due while so many wait is not sent.
        most_unsent: after so many that were not sent the block ends early; None for never.
    """
    clock, sent, unsent = _Clock(), list[asyncio.Task[Sample]](), 0
    flying = set[asyncio.Task[Sample]]()
    try:
        for due, request in schedule:
            await asyncio.sleep(max(0.0, due - clock()))
            if len(flying) >= most_in_flight:
                unsent += 1
                if unsent == most_unsent:
                    break
                continue
            task = asyncio.create_task(_sample(send, request, due, clock))
            flying.add(task)
            task.add_done_callback(flying.discard)
            sent.append(task)
        samples = await asyncio.gather(*sent)
    finally:
        for task in flying:
            task.cancel()
    return clock.block(samples, unsent)


def poisson_schedule(rate: float, seconds: float, requests: Iterator[int], seed: int) -> list[tuple[float, int]]:
    """Arrivals of a Poisson process of `rate` a second within `seconds`, each with the next request."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / rate, size=max(16, int(rate * seconds * 3) + 16))
    due = np.cumsum(gaps)
    return [(float(at), next(requests)) for at in due[due < seconds]]


class _Clock:
    """Seconds, and processor time of this process, since it was made."""

    def __init__(self) -> None:
        self._start, self._client_start = time.perf_counter(), time.process_time()

    def __call__(self) -> float:
        return time.perf_counter() - self._start

    def block(
        self,
        samples: Sequence[Sample],
        unsent: int,
        beside: int = 0,
        window: tuple[float, float] | None = None,
    ) -> Block:
        return Block(samples, unsent, self(), time.process_time() - self._client_start, beside, window)


async def _sample(send: Send, request: int, due: float, clock: _Clock) -> Sample:
    sent = clock()
    error = None
    try:
        await send(request)
    except Exception as problem:  # whatever a model or the network does is a result, to be reported
        error = f"{type(problem).__name__}: {problem}"
    return Sample(request, due, sent, clock(), error)
