"""Tens of thousands of requests of every kind, wrong ones and cancelled ones among them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.faults.load import Target, ask, make_client
from readability_triton.faults.soak.resources import Reading, read
from readability_triton.faults.traffic import BLS, EVERYTHING, NO_ENCODER, PARALLEL, Flow, draw
from readability_triton.faults.verdict import Kind, Verdict
from readability_triton.serving.stubs import is_alive, process_state

EVERY_S = 5.0
LARGE = 64
CANCEL_AFTER_S = 0.005
BAD_TEXTS = (b"caf\xe9", b"", b" \n\t")

CANCELLED = tuple(flow for flow in EVERYTHING if flow.pipeline == BLS)
"""Not the ensemble: Triton 24.10 may crash over a request to an ensemble that is cancelled (docs/faults.md)."""

MIX: tuple[tuple[str, float], ...] = (
    ("no encoder", 87.9),
    ("any", 4),
    ("bad", 5),
    ("cancelled", 3),
    ("large", 0.1),
)
"""Kinds of requests by share in percent: most leave the encoder no time, so that there can be many."""


class ServerGoneError(RuntimeError):
    """The server has ended by itself."""


@dataclass
class Soak:
    """A run so far.

    Attributes:
        verdicts: what the good requests got.
        refused: bad requests that were refused as they should be.
        cancelled: requests whose client did not wait.
        wrong: what was not as promised, the first few.
        readings: of the server's resources.
    """

    verdicts: Counter[Kind] = field(default_factory=Counter)
    refused: int = 0
    cancelled: int = 0
    wrong: list[str] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many have ended."""
        return self.verdicts.total() + self.refused + self.cancelled


async def run(
    soak: Soak,
    target: Target,
    server: int,
    n_requests: int,
    concurrency: int,
    on_progress: Callable[[int], None],
    seed: int,
) -> None:
    """Send requests, so many at a time, and note what comes back in `soak`, which keeps it if this is stopped.

    Args:
        soak: where to note.
        target: whom to.
        server: the server's process.
        n_requests: how many.
        concurrency: how many at a time.
        on_progress: called with 1 after each request.
        seed: of what is sent.

    Raises:
        ServerGoneError: if the server ends.
    """
    kinds = _draw_kinds(n_requests, seed)
    clients = {flow: make_client(flow, target.urls) for flow in (*EVERYTHING, NO_ENCODER)}
    callers = [_Caller(soak, target, clients, seed + number) for number in range(concurrency)]
    watcher = asyncio.create_task(_watch(soak, server))
    sending = asyncio.gather(*(caller.run(kinds, on_progress) for caller in callers))
    either: tuple[asyncio.Future[Any], ...] = (watcher, sending)
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        await (sending if sending.done() else watcher)
    finally:
        for task in either:
            task.cancel()
        for client in clients.values():
            await client.close()
    soak.readings.append(read(server, soak.requests))


def _draw_kinds(n_requests: int, seed: int) -> Iterator[str]:
    names, shares = zip(*MIX, strict=True)
    return iter(random.Random(seed).choices(names, shares, k=n_requests))


async def _watch(soak: Soak, server: int) -> None:
    while is_alive(process_state(server)):
        soak.readings.append(read(server, soak.requests))
        await asyncio.sleep(EVERY_S)
    raise ServerGoneError(f"the server ended after some {soak.requests} requests")


class _Caller:
    """Sends one request after the other; the client for each flow is everyone's."""

    def __init__(self, soak: Soak, target: Target, clients: Mapping[Flow, AsyncScorer], seed: int) -> None:
        self._soak, self._target, self._clients = soak, target, clients
        self._random = random.Random(seed)

    async def run(self, kinds: Iterator[str], on_progress: Callable[[int], None]) -> None:
        for kind in kinds:
            if kind == "bad":
                await self._bad()
            elif kind == "cancelled":
                await self._cancelled()
            else:
                await self._good(kind)
            on_progress(1)

    async def _good(self, kind: str) -> None:
        flow = NO_ENCODER if kind == "no encoder" else self._random.choice(EVERYTHING)
        flow = self._random.choice(PARALLEL) if kind == "large" else flow
        asked = draw(self._random, flow, len(self._target.truth.texts), LARGE if kind == "large" else None)
        if kind == "no encoder":  # the forest's score is then what was asked for
            asked = replace(asked, weights=np.zeros_like(asked.weights))
        sample = await ask(self._clients[flow], asked, self._target.truth)
        self._soak.verdicts[sample.verdict.kind] += 1
        if sample.verdict.kind not in (Kind.RIGHT, Kind.DEGRADED):
            self._note(sample.flow, sample.verdict)

    async def _bad(self) -> None:
        flow = self._random.choice(EVERYTHING)
        texts: list[str | bytes] = [self._random.choice(self._target.truth.texts)]
        weights = [7.0]
        if self._random.random() < 0.7:
            texts, weights = [*texts, self._random.choice(BAD_TEXTS)], [0.5, 0.5]
        try:
            await self._clients[flow].score(texts, weights)
        except InvalidRequestError:
            self._soak.refused += 1
        except ReadabilityError as error:
            self._soak.verdicts[Kind.ERROR] += 1
            self._note(flow.name, Verdict(Kind.ERROR, f"a bad request: {type(error).__name__}: {error}"))
        else:
            self._soak.verdicts[Kind.WRONG] += 1
            self._note(flow.name, Verdict(Kind.WRONG, "a bad request got scores"))

    async def _cancelled(self) -> None:
        flow = self._random.choice(CANCELLED)
        call = asyncio.ensure_future(self._clients[flow].score([self._random.choice(self._target.truth.texts)], 0.5))
        await asyncio.wait([call], timeout=CANCEL_AFTER_S)
        call.cancel()
        await asyncio.wait([call])
        if not call.cancelled():
            call.exception()  # whether it was answered before is no matter, nor how
        self._soak.cancelled += 1

    def _note(self, flow: str, verdict: Verdict) -> None:
        if len(self._soak.wrong) < 20:
            self._soak.wrong.append(f"{time.strftime('%H:%M:%S')} {flow}: {verdict.kind.value}: {verdict.note}")
