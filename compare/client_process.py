"""The process that sends requests, so that nothing else shares its interpreter."""

import asyncio
import gc
import hashlib
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any, Protocol

from readability_triton.client.access import Access
from readability_triton.compare.callers import Caller, Callers, Target
from readability_triton.compare.load import MOST_IN_FLIGHT, Block, Send, run_beside, run_closed, run_open

START_S = 60.0
"""Importing and connecting may take so long on a busy machine."""

ENDS_WITHIN_S = 5.0


class ClientProcessError(RuntimeError):
    """The process that sends requests ended, or did not start."""


class Job(Protocol):
    """What one target, by number, is to be put through."""

    @property
    def target(self) -> int:
        """The target's number."""

    async def run(self, sends: Sequence[Send]) -> Block:
        """Do it; there is a way to send for each target."""


@dataclass(frozen=True)
class ClosedJob:
    """`run_closed` of one target."""

    target: int
    requests: Sequence[int]
    concurrency: int

    async def run(self, sends: Sequence[Send]) -> Block:
        """See `Job`."""
        return await run_closed(sends[self.target], self.requests, self.concurrency)


@dataclass(frozen=True)
class BesideJob:
    """`run_beside` of one target; the other client sends requests of target `other`."""

    target: int
    requests: Sequence[int]
    concurrency: int
    other: int
    beside: Sequence[int]
    rows: int

    async def run(self, sends: Sequence[Send]) -> Block:
        """See `Job`."""
        requests: Iterator[int] = cycle(self.requests)
        one, other = sends[self.target], sends[self.other]
        return await run_beside(one, requests, self.concurrency, other, self.beside, self.rows)


@dataclass(frozen=True)
class OpenJob:
    """`run_open` of one target."""

    target: int
    schedule: Sequence[tuple[float, int]]
    most_in_flight: int = MOST_IN_FLIGHT
    most_unsent: int | None = None

    async def run(self, sends: Sequence[Send]) -> Block:
        """See `Job`."""
        return await run_open(sends[self.target], self.schedule, self.most_in_flight, self.most_unsent)


class ClientProcess:
    """Starts the process, gives it one job at a time, and ends it; an asynchronous context manager.

    Args:
        targets: what can be sent.
        url: the server's gRPC address.
        access: certificates, headers, a token, compression.

    Raises:
        ClientProcessError: if the process ends before its time.
        ValueError, OSError: on entering, see `Callers`.
    """

    def __init__(self, targets: Sequence[Target], url: str, access: Access) -> None:
        # Not by fork: gRPC does not survive one in a process that has used it.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, targets, url, access), daemon=True)
        self._theirs = theirs

    async def __aenter__(self) -> "ClientProcess":
        self._process.start()
        self._theirs.close()  # so that the end of the process ends the pipe
        try:
            await asyncio.wait_for(self._receive(), START_S)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """The process's number; None before it has started."""
        return self._process.pid

    async def run(self, job: Job) -> Block:
        """Do a job; processor time that this process spends meanwhile is the client's too.

        Raises:
            ClientProcessError: if the process ended.
        """
        before = time.process_time()
        block: Block = await self._ask(job)
        return replace(block, client_seconds=block.client_seconds + time.process_time() - before)

    async def check(self, target: int) -> None:
        """Send a target's first request.

        Raises:
            ClientProcessError: if the process ended.
            Exception: whatever the request fails with.
        """
        await self._ask(target)

    async def _ask(self, what: Job | int) -> Any:
        try:
            self._connection.send(what)
        except OSError as error:
            raise self._ended() from error
        return await self._receive()

    async def _receive(self) -> Any:
        """What the process sends next; raised, if it is an exception."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._connection.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._connection.fileno())
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ended(self) -> ClientProcessError:
        self._process.join(ENDS_WITHIN_S)
        return ClientProcessError(f"the process that sends requests ended ({_how(self._process.exitcode)})")

    def _end(self) -> None:
        self._connection.close()
        if self._process.pid is not None:
            self._process.kill()  # it holds nothing that would need to be put away
            self._process.join()


def _how(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    return f"signal {signal.Signals(-exit_code).name}"


def _serve(connection: Connection, targets: Sequence[Target], url: str, access: Access) -> None:
    """The process itself: a job in, a block or an exception out, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; its parent ends it
    asyncio.run(_answer(connection, targets, url, access))


async def _answer(connection: Connection, targets: Sequence[Target], url: str, access: Access) -> None:
    try:
        async with Callers(targets, url, access) as callers:
            connection.send(os.getpid())
            gc.collect()
            gc.freeze()  # what is there stays: collections during a block need not look at it
            seen = _Seen()
            while True:
                connection.send(await _do(connection.recv(), callers, seen))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        connection.send(_portable(error))


async def _do(asked: Job | int, callers: Sequence[Caller], seen: "_Seen") -> Any:
    try:
        if isinstance(asked, int):
            await callers[asked](0)
            return None
        answers: list[tuple[int, bytes]] = []

        def keeping(caller: Caller) -> Send:
            async def send(number: int) -> None:
                answers.append((number, await caller(number)))

            return send

        # Those of the other client of a mixed load are not looked at.
        sends = [keeping(caller) if at == asked.target else caller for at, caller in enumerate(callers)]
        block = await asked.run(sends)
        return replace(block, answers=seen.new(asked.target, answers))
    except Exception as error:
        return _portable(error)


def _portable(error: Exception) -> Exception:
    """The error, or if it does not survive being sent, one that says the same."""
    try:
        return error if isinstance(pickle.loads(pickle.dumps(error)), type(error)) else RuntimeError(str(error))  # noqa: S301
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


class _Seen:
    """Which answers were handed on before, so that equal ones are not again."""

    def __init__(self) -> None:
        self._digests: set[tuple[int, int, bytes]] = set()

    def new(self, target: int, answers: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The answers that this target did not give to this request before."""
        found = []
        for number, answer in answers:
            key = (target, number, hashlib.blake2b(answer, digest_size=16).digest())
            if key not in self._digests:
                self._digests.add(key)
                found.append((number, answer))
        return found
