"""HTTP, by the standard library's client over a stack of connections that threads share; asyncio has aiohttp's.

`tritonclient.http` has neither threads nor forks: its gevent pool belongs to the thread that made it. urllib3 has both,
and adds 0.25 ms to a request (`bench/client_overhead.py`).
"""

import io
import select
import socket
import ssl
import time
import zlib
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection, InvalidURL
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp

from readability_triton.client.access import Access
from readability_triton.client.transports.binary_tensors import (
    JSON_LENGTH,
    BinaryAnswer,
    check_status,
    encode,
    json_length,
    read_config,
)
from readability_triton.client.transports.transport import CONNECT_S, InferRequest

KEPT_ALIVE = 64
"""Connections that stay open; more are opened as needed, and closed after use."""

LARGEST_UNPACKED = 256 << 20
"""Bytes that a compressed answer may have after decompression."""

LAST_PORT = 65535

Headers = Mapping[str, str]


def _infer_path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}/infer"


def _config_path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}/config"


_READY_PATH = "/v2/health/ready"


_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class NoConnectionError(ConnectionError):
    """Nothing listens at the address, or TLS does not come about."""


class _Answer(NamedTuple):
    status: int
    body: bytes
    headers: HTTPMessage


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline, however little comes at a time; a socket's own timeout is for one read."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_rest(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer whose head and body have come by the deadline, or `TimeoutError`."""

    def __init__(self, deadline: float, sock: socket.socket, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, deadline))


class HttpTransport:
    """`readability_triton.client.transports.transport.Transport`.

    Idle connections lie on a stack: a request takes the one used last, or opens one, and puts it back. So none is ever
    two threads' at a time, and there are as many as requests in flight.

    Args:
        location: host and port.
        is_secure: whether to use TLS.
        access: certificates, headers, compression.

    Raises:
        OSError: if a certificate cannot be read.
        ValueError: if `location` is no host and port.
    """

    def __init__(self, location: str, is_secure: bool, access: Access) -> None:
        self._location = location
        self._headers = access.sent_headers()
        self._compression = access.compression
        self._context = access.ssl_context() if is_secure else None
        self._idle: deque[HTTPConnection] = deque()
        _check_location(location)

    def infer(self, request: InferRequest, timeout_s: float) -> BinaryAnswer:
        """Send a request and wait for its answer."""
        body, headers = encode(request, self._compression)
        answer = self._call("POST", _infer_path(request.model), timeout_s, body, headers)
        return BinaryAnswer(answer.body, json_length(answer.headers.get(JSON_LENGTH)))

    def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model."""
        return read_config(self._call("GET", _config_path(model), timeout_s).body)

    def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""
        return self._send("GET", _READY_PATH, timeout_s, None, {}).status == HTTPStatus.OK

    def close(self) -> None:
        """Close the connections that no request uses."""
        while self._idle:
            self._idle.pop().close()

    def _call(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: Headers | None = None
    ) -> _Answer:
        answer = self._send(method, path, timeout_s, body, headers or {})
        check_status(answer.status, answer.body)
        return answer

    def _send(self, method: str, path: str, timeout_s: float, body: bytes | None, headers: Headers) -> _Answer:
        sent = {**self._headers, **headers}
        deadline = time.monotonic() + timeout_s
        try:
            try:
                answer = self._exchange(self._idle_or_new(deadline), method, path, deadline, body, sent)
            except (TimeoutError, NoConnectionError):
                raise
            except (HTTPException, OSError):
                # A server may close a kept-alive connection at the moment when it is used: a new one shows.
                answer = self._exchange(self._connect(deadline), method, path, deadline, body, sent)
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {timeout_s:g} s") from error
        except ssl.SSLError as error:  # of a client's certificate, which servers look at after the handshake
            raise ConnectionError(f"TLS: {error}") from error
        except HTTPException as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        return answer._replace(body=_unpacked(answer))

    def _connect(self, deadline: float) -> HTTPConnection:
        """A new connection; `NoConnectionError` if there is none, also if it takes too long."""
        limit = min(CONNECT_S, _rest(deadline))
        connection = (
            HTTPConnection(self._location, timeout=limit)
            if self._context is None
            else HTTPSConnection(self._location, timeout=limit, context=self._context)
        )
        try:
            connection.connect()
        except TimeoutError as error:
            raise NoConnectionError(f"no connection within {limit:.3g} s") from error
        except OSError as error:
            raise NoConnectionError(f"TLS: {error}" if isinstance(error, ssl.SSLError) else str(error)) from error
        return connection

    def _idle_or_new(self, deadline: float) -> HTTPConnection:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect(deadline)
            if not _is_readable(connection):
                return connection
            connection.close()

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        deadline: float,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> _Answer:
        """Send and read; the connection is kept if it can be used again, and closed otherwise."""
        is_sent = False
        try:
            connection.sock.settimeout(_rest(deadline))
            connection.response_class = partial(_TimedResponse, deadline)  # type: ignore[assignment]
            # A gateway may refuse a large body before it has come, and close: its answer is there all the same.
            # Over TLS, Python 3.11 raises SSLEOFError for the same.
            with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                connection.request(method, path, body, headers)
                is_sent = True
            response = connection.getresponse()
            answer = _Answer(response.status, response.read(), response.headers)
        except BaseException:
            connection.close()
            raise
        if not is_sent or response.will_close or len(self._idle) >= KEPT_ALIVE:
            connection.close()
        else:
            self._idle.append(connection)
        return answer


def _rest(deadline: float) -> float:
    """Seconds until then, by the monotonic clock; `TimeoutError` if it is over."""
    rest = deadline - time.monotonic()
    if rest <= 0:
        raise TimeoutError
    return rest


def _is_readable(connection: HTTPConnection) -> bool:
    """Whether the server has closed an idle connection, or written what is no answer to the next request."""
    poll = select.poll()  # `select.select` takes no descriptor above 1023
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _check_location(location: str) -> None:
    """Raise `ValueError` if it is no host and port."""
    try:
        connection = HTTPConnection(location)
        connection.host.encode("idna")  # as a socket does when it connects
    except (InvalidURL, UnicodeError) as error:
        raise ValueError(f"{location!r} is no host and port: {error}") from error
    if not 0 <= connection.port <= LAST_PORT or location.count("[") != location.count("]"):
        raise ValueError(f"{location!r} is no host and port")


def _unpacked(answer: _Answer) -> bytes:
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding == "identity" or not answer.body:
        return answer.body
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = unpacker.decompress(answer.body, LARGEST_UNPACKED + 1)
    except zlib.error as error:
        raise ConnectionError(f"the answer is not {encoding}: {error}") from error
    if len(body) > LARGEST_UNPACKED:
        raise ConnectionError(f"the answer is {encoding} of more than {LARGEST_UNPACKED} bytes")
    if not unpacker.eof:
        raise ConnectionError(f"the answer is not {encoding}: it ends too early")
    return body


class AsyncHttpTransport:
    """`HttpTransport` with coroutines: `readability_triton.client.transports.transport.AsyncTransport`.

    Make it inside the running loop that uses it. Takes and raises the same.
    """

    def __init__(self, location: str, is_secure: bool, access: Access) -> None:
        _check_location(location)
        context = access.ssl_context() if is_secure else True
        self._compression = access.compression
        self._session = aiohttp.ClientSession(
            f"{'https' if is_secure else 'http'}://{location}",
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            headers=access.sent_headers(),
        )

    async def infer(self, request: InferRequest, timeout_s: float) -> BinaryAnswer:
        """Send a request and wait for its answer."""
        body, headers = encode(request, self._compression)
        data, answered = await self._call("POST", _infer_path(request.model), timeout_s, body, headers)
        return BinaryAnswer(data, json_length(answered.get(JSON_LENGTH)))

    async def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model."""
        data, _ = await self._call("GET", _config_path(model), timeout_s)
        return read_config(data)

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""
        status, _, _ = await self._send("GET", _READY_PATH, timeout_s, None, {})
        return status == 200

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _call(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: Headers | None = None
    ) -> tuple[bytes, Headers]:
        status, data, answered = await self._send(method, path, timeout_s, body, headers or {})
        check_status(status, data)
        return data, answered

    async def _send(
        self, method: str, path: str, timeout_s: float, body: bytes | None, headers: Headers
    ) -> tuple[int, bytes, Headers]:
        try:
            try:
                return await self._send_once(method, path, timeout_s, body, headers)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise
                return await self._send_once(method, path, timeout_s, body, headers)  # as in HttpTransport
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectionError(f"no connection within {min(CONNECT_S, timeout_s):g} s") from error
        except TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except aiohttp.ClientError as error:
            is_tls = isinstance(error, aiohttp.ClientSSLError)
            raise ConnectionError(f"TLS: {error}" if is_tls else str(error)) from error

    async def _send_once(
        self, method: str, path: str, timeout_s: float, body: bytes | None, headers: Headers
    ) -> tuple[int, bytes, Headers]:
        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s))
        async with self._session.request(
            method, path, data=body, headers=headers, timeout=limits, allow_redirects=False
        ) as response:
            return response.status, await response.read(), response.headers
