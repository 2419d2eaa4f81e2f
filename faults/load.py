"""Honest clients: a steady load from a separate thread, every answer judged."""

import asyncio
import random
import threading
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.faults.traffic import DEADLINE, ENSEMBLE, EVERYTHING, Asked, Flow, draw
from readability_triton.faults.truth import Truth
from readability_triton.faults.verdict import Kind, Verdict, judge_error, judge_scores

PACE_S = 0.25
"""Each flow sends a request so often, or when it has the answer to the last if that comes later."""

TIMEOUT_S = 30.0
"""How long a client waits. No fault lasts half as long."""

IN_A_ROW = 5
"""A flow is in order when so many answers in a row are right. Under policy `deadline` they may be degraded too, which
depends on how busy the machine is."""

POLL_S = 0.05
LARGEST_BATCH = 512


class Sample(NamedTuple):
    """One request.

    Attributes:
        flow: its sort.
        sent: when it was sent, by the monotonic clock, in seconds.
        done: when its answer was there, or its error.
        verdict: what it got.
    """

    flow: str
    sent: float
    done: float
    verdict: Verdict


@dataclass(frozen=True)
class Target:
    """A server under load.

    Attributes:
        urls: its address by scheme, `grpc` and `http`.
        truth: what it should answer.
    """

    urls: Mapping[str, str]
    truth: Truth


class Load:
    """Sends requests within a `with` block.

    Args:
        target: whom to.
        flows: what to send steadily; each has one client.
        seed: of the requests.

    Attributes:
        samples: every request that has ended, in the order in which they did.
    """

    def __init__(self, target: Target, flows: Sequence[Flow] = EVERYTHING, seed: int = 0) -> None:
        self.samples: list[Sample] = []
        self._target, self._flows = target, flows
        self._random = random.Random(seed)
        self._ending = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending = True
        self._thread.join()

    def seconds_to_recover(self, since: float) -> float | None:
        """From `since`, by the monotonic clock, to when every flow was in order for good; None while one is not."""
        return seconds_to_recover(self.samples, since, [flow.name for flow in self._flows])

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Run a coroutine beside the load, in its loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def burst(self, requests: Iterable[Asked]) -> "list[Future[Sample]]":
        """Send these now, all at once, beside the steady load, on a connection for each scheme and policy."""
        clients: dict[str, AsyncScorer] = {}
        return [self.submit(self._burst_one(request, clients)) for request in requests]

    async def _burst_one(self, asked: Asked, clients: dict[str, AsyncScorer]) -> Sample:
        if asked.flow.name not in clients:
            clients[asked.flow.name] = self._client(asked.flow)
        return await self._ask(clients[asked.flow.name], asked)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._clients: list[AsyncScorer] = []
        self._ready.set()
        try:
            async with asyncio.TaskGroup() as group:
                for flow in self._flows:
                    group.create_task(self._caller(flow))
        finally:
            for client in self._clients:
                await client.close()

    def _client(self, flow: Flow) -> AsyncScorer:
        client = make_client(flow, self._target.urls)
        self._clients.append(client)
        return client

    async def _caller(self, flow: Flow) -> None:
        client = self._client(flow)
        while not self._ending:
            start = time.monotonic()
            await self._ask(client, draw(self._random, flow, len(self._target.truth.texts)))
            await asyncio.sleep(max(0.0, start + PACE_S - time.monotonic()))

    async def _ask(self, client: AsyncScorer, asked: Asked) -> Sample:
        sample = await ask(client, asked, self._target.truth)
        self.samples.append(sample)
        return sample


def make_client(flow: Flow, urls: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> AsyncScorer:
    """A client for one sort of requests, in the running loop."""
    return AsyncScorer(
        flow.pipeline,
        None,
        urls[flow.scheme],
        LARGEST_BATCH,
        timeout_s,
        flow.parameters,
        details=flow.pipeline != ENSEMBLE,
    )


async def ask(client: AsyncScorer, asked: Asked, truth: Truth, timeout_s: float = TIMEOUT_S) -> Sample:
    """Send one request and judge what comes back."""
    texts, weights = [truth.texts[row] for row in asked.rows], [float(weight) for weight in asked.weights]
    sent = time.monotonic()
    try:
        # A limit of our own around the client's: that a call ends at all is among the things to find out.
        async with asyncio.timeout(timeout_s + 5):
            scores = await client.score(texts, weights)
    except Exception as error:  # whatever a client raises is a result
        verdict = judge_error(error, time.monotonic() - sent, timeout_s)
    else:
        verdict = judge_scores(asked, scores, truth)
    return Sample(asked.flow.name, sent, time.monotonic(), verdict)


def seconds_to_recover(
    samples: Sequence[Sample], since: float, flows: Iterable[str], in_a_row: int = IN_A_ROW
) -> float | None:
    """From `since` to when every flow was in order for good; 0 if none ever was not, None if one still is not."""
    by_flow: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.done >= since:
            by_flow[sample.flow].append(sample)
    each = [_recovered_at(by_flow[flow], since, in_a_row) for flow in flows]
    return None if None in each else max((at for at in each if at is not None), default=since) - since


def _recovered_at(samples: Sequence[Sample], since: float, in_a_row: int) -> float | None:
    bad = [number for number, sample in enumerate(samples) if not _is_in_order(sample)]
    first_right = bad[-1] + 1 if bad else 0
    if len(samples) - first_right < in_a_row:
        return None
    return samples[first_right].done if bad else since


def _is_in_order(sample: Sample) -> bool:
    kind = sample.verdict.kind
    return kind is Kind.RIGHT or (kind is Kind.DEGRADED and sample.flow == DEADLINE.name)
