"""Score texts on a Triton server, for services built on asyncio."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

from tritonclient.utils import InferenceServerException

from readability_triton.client.connection import Connection, note_failure
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.in_order import in_order_async
from readability_triton.client.protocol import PAUSE_S, TRIES, Batch, is_neighbours_error, may_fall_back, read_scores
from readability_triton.client.rows import Missing, row_in_call
from readability_triton.client.scores import Scores
from readability_triton.client.served_model import ServedModel
from readability_triton.client.servers import PROBE_S, Server, Servers, may_ask_elsewhere, may_retry, pause_s
from readability_triton.client.split import Route
from readability_triton.client.transports.grpc import AsyncGrpcTransport
from readability_triton.client.transports.http import AsyncHttpTransport
from readability_triton.client.transports.transport import AsyncTransport

Result = TypeVar("Result")

_INHERITED: list[Any] = []
"""Connections of the parent of a forked process. Kept, not closed: they belong to threads that are not in this one."""


class AsyncScorer(Connection[AsyncTransport]):
    """`Scorer` with coroutines: the same arguments, results and errors.

    Make it anywhere: each event loop in which it is used has connections of its own, which `close` in that loop closes.
    """

    TRANSPORTS: ClassVar = {True: AsyncGrpcTransport, False: AsyncHttpTransport}

    def _start(self) -> None:
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Servers[AsyncTransport]] = WeakKeyDictionary()
        self._opening = threading.Lock()  # loops may run in several threads
        self._opened_by = os.getpid()
        if any(address.is_secure for address in self._addresses):
            self._access.ssl_context()  # a certificate that cannot be read is an error here, as it is for `Scorer`

    async def __aenter__(self) -> "AsyncScorer":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections of the running loop, and those of loops that are closed."""
        self._forget_those_of_the_parent()
        with self._opening:
            servers = self._by_loop.pop(asyncio.get_running_loop(), None)
        await self._close_those_of_closed_loops()
        for server in servers or ():
            await server.transport.close()

    async def score(
        self,
        texts: Iterable[Any],
        bert_weight: float | Sequence[float] | None = None,
        missing: Missing = "refuse",
        key: str | None = None,
    ) -> Scores:
        """Score any number of texts; see `readability_triton.client.scorer.Scorer.score`."""
        rows, cut = self._read(texts, bert_weight, missing, await self.served_model())
        try:
            parts = await in_order_async(partial(self._score_batch, self._route(key)), cut, self._in_flight)
        except InvalidRequestError as error:
            raise row_in_call(error, rows.at) from error
        return Scores.joined(parts).spread(rows.at, rows.total)

    async def served_model(self) -> ServedModel:
        """What the pipeline's configuration says of it; requested once."""
        if self._served_model is None:
            self._served_model = await self._first_answer(self._describe)
        return self._served_model

    async def _score_batch(self, route: Route, batch: Batch) -> Scores:
        try:
            with route.recorded(len(batch.excerpts)) as given:
                given.append(await self._first_answer(lambda name: self._infer(name, batch), route.names))
                return given[0]
        except InvalidRequestError as error:
            raise row_in_call(error, range(batch.start, batch.start + len(batch.excerpts))) from error

    async def _first_answer(self, ask: Callable[[str], Awaitable[Result]], names: Sequence[str] = ()) -> Result:
        """Ask the first pipeline, then the other; and again, after pauses, if that may help."""
        for number in range(1, self._retries + 1):
            try:
                return await self._ask_pipelines(ask, names or self.model_names)
            except ReadabilityError as error:
                if not may_retry(error):
                    raise
            await asyncio.sleep(pause_s(number))
        return await self._ask_pipelines(ask, names or self.model_names)

    async def _ask_pipelines(self, ask: Callable[[str], Awaitable[Result]], names: Sequence[str]) -> Result:
        *earlier, last = names
        for name in earlier:
            try:
                return await self._beside_neighbours(ask, name)
            except ReadabilityError as error:
                if not may_fall_back(error):
                    raise
        return await self._beside_neighbours(ask, last)

    async def _beside_neighbours(self, ask: Callable[[str], Awaitable[Result]], name: str) -> Result:
        """Send, and send again if the error is of another request in the same batch."""
        for number in range(1, TRIES):
            try:
                return await ask(name)
            except ReadabilityError as error:
                if not is_neighbours_error(error):
                    raise
            await asyncio.sleep(number * PAUSE_S)
        return await ask(name)

    async def _describe(self, name: str) -> ServedModel:
        if name not in self._described:
            config = await self._ask_servers(lambda transport: transport.model_config(name, self._timeout_s))
            self._described[name] = ServedModel.of(config)
        return self._described[name]

    async def _infer(self, name: str, batch: Batch) -> Scores:
        model = await self._describe(name)
        request = self._request(model, batch)

        async def infer(transport: AsyncTransport) -> Scores:
            return read_scores(await transport.infer(request, self._timeout_s), model, batch, self._options.details)

        try:
            return await self._ask_servers(infer)
        except ReadabilityError as error:
            error.request_id = request.request_id
            raise

    async def _ask_servers(self, ask: Callable[[AsyncTransport], Awaitable[Result]]) -> Result:
        """Ask one server after the other, until one answers or refuses what is asked."""
        servers = await self._servers_of_this_loop()
        tried: list[Server[AsyncTransport]] = []
        while True:
            server = await self._next(servers, tried)
            tried.append(server)
            try:
                with servers.asking(server):
                    # A limit around the transport's own, which does not count what comes before and after a request.
                    async with asyncio.timeout(self._timeout_s):
                        answer = await ask(server.transport)
                servers.answered(server)
                return answer
            except (InferenceServerException, OSError) as error:
                translated = note_failure(servers, server, error)
                if len(tried) == len(self._addresses) or not may_ask_elsewhere(translated):
                    raise translated from error

    async def _next(
        self, servers: Servers[AsyncTransport], tried: Sequence[Server[AsyncTransport]]
    ) -> Server[AsyncTransport]:
        if len(self._addresses) > 1 and (back := servers.due(tried)):
            if await self._is_ready(back.transport):
                servers.answered(back)
                return back
            servers.failed(back)
        return servers.next(tried) or servers.first_out(tried)

    async def _is_ready(self, transport: AsyncTransport) -> bool:
        try:
            return await transport.is_ready(min(PROBE_S, self._timeout_s))
        except (InferenceServerException, OSError):
            return False

    async def _servers_of_this_loop(self) -> Servers[AsyncTransport]:
        self._forget_those_of_the_parent()
        loop = asyncio.get_running_loop()
        with self._opening:
            servers = self._by_loop.get(loop)
            if servers is not None:
                return servers
            servers = self._by_loop[loop] = self._open_servers()
        await self._close_those_of_closed_loops()
        return servers

    def _forget_those_of_the_parent(self) -> None:
        if self._opened_by != os.getpid():
            _INHERITED.append(self._by_loop)
            self._start()

    async def _close_those_of_closed_loops(self) -> None:
        with self._opening:
            closed = [loop for loop in self._by_loop if loop.is_closed()]
            left = [self._by_loop.pop(loop) for loop in closed]
        for servers in left:
            for server in servers:
                with contextlib.suppress(RuntimeError):  # that its loop is closed: nothing is left to close then
                    await server.transport.close()
