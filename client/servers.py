"""Several servers that serve the same models: which of them gets the next request.

A request goes to the server with the fewest in flight. One that cannot be reached, or does not answer in time, gets
none for a while; then it is asked whether it is ready, and comes back if so, or stays out for twice as long.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from readability_triton.client.errors import (
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)

OUT_S = 0.25
"""How long a server is left out after its first failure; twice as long after each further one."""

LONGEST_OUT_S = 10.0
MOST_DOUBLINGS = 16  # a server may be down for days: 2 to the power of its failures would be no float

PROBE_S = 2.0
"""How long a server that was out may take to say that it is ready."""

PAUSE_S = 0.1
"""Before the first retry, when no server can answer; twice as long before each further one."""

LONGEST_PAUSE_S = 5.0

T = TypeVar("T")


class Server(Generic[T]):
    """A server, and how it does.

    Attributes:
        url: its address.
        transport: the connection to it.
        in_flight: requests under way.
        failures: how often in a row it could not be reached; 0 while it takes part.
        out_until: when it may be asked whether it is ready, by the monotonic clock.
    """

    def __init__(self, url: str, transport: T) -> None:
        self.url, self.transport = url, transport
        self.in_flight = self.failures = 0
        self.out_until = 0.0


class Servers(Generic[T]):
    """The servers of a client, for any number of threads.

    Args:
        servers: at least one.
        clock: in seconds.
    """

    def __init__(self, servers: Sequence[Server[T]], clock: Callable[[], float] = time.monotonic) -> None:
        self._servers, self._clock = list(servers), clock
        self._lock = threading.Lock()
        self._turn = 0

    def __iter__(self) -> Iterator[Server[T]]:
        return iter(self._servers)

    @property
    def urls(self) -> str:
        """All addresses, for messages."""
        return ", ".join(server.url for server in self._servers)

    def next(self, tried: Collection[Server[T]]) -> Server[T] | None:
        """The server that takes part and has the fewest requests in flight, of those not in `tried`; in turn if even.

        None if there is none.
        """
        if len(self._servers) == 1:
            return None if tried or self._servers[0].failures else self._servers[0]
        with self._lock:
            self._turn += 1
            candidates = [server for server in self._servers if not server.failures and server not in tried]
            if not candidates:
                return None
            n = len(self._servers)
            place = {server: (at - self._turn) % n for at, server in enumerate(self._servers)}
            return min(candidates, key=lambda server: (server.in_flight, place[server]))

    def due(self, tried: Collection[Server[T]]) -> Server[T] | None:
        """A server not in `tried` whose time out is over: the caller asks whether it is ready, and nobody else does."""
        now = self._clock()
        with self._lock:
            for server in self._servers:
                if server.failures and server.out_until <= now and server not in tried:
                    server.out_until = now + PROBE_S
                    return server
        return None

    def first_out(self, tried: Collection[Server[T]]) -> Server[T]:
        """Where `next` has none: of the servers not in `tried`, of which there must be one, the first to come back."""
        with self._lock:
            left = [server for server in self._servers if server not in tried]
            return min(left, key=lambda server: server.out_until)

    @contextmanager
    def asking(self, server: Server[T]) -> Iterator[None]:
        """Count a request within the block as in flight at `server`."""
        with self._lock:
            server.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                server.in_flight -= 1

    def failed(self, server: Server[T]) -> None:
        """Leave a server out for a while."""
        with self._lock:
            server.failures += 1
            server.out_until = self._clock() + min(
                OUT_S * 2.0 ** min(server.failures - 1, MOST_DOUBLINGS), LONGEST_OUT_S
            )

    def answered(self, server: Server[T]) -> None:
        """Let a server take part."""
        server.failures = 0


def may_ask_elsewhere(error: ReadabilityError) -> bool:
    """Whether another server may still answer a request that ended so. To score a text twice does no harm."""
    return isinstance(error, ServerUnreachableError | RequestTimeoutError | ModelUnavailableError | ServerBusyError)


def may_retry(error: ReadabilityError) -> bool:
    """Whether the same server may answer a little later. A request whose time is up has had its time."""
    return isinstance(error, ServerUnreachableError | ServerBusyError | ModelUnavailableError)


def pause_s(number: int) -> float:
    """How long to wait before retry `number`, from 1 on, in seconds."""
    return min(PAUSE_S * 2.0 ** (number - 1), LONGEST_PAUSE_S)
