"""HTTP, by urllib3, whose pool of kept-alive connections threads may share; asyncio has aiohttp's.

`tritonclient.http` has neither threads nor forks: its gevent pool belongs to the thread that made it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError, SSLError

from readability_triton.client.access import Access
from readability_triton.client.transports.binary_tensors import (
    BinaryAnswer,
    check_status,
    encode,
    json_length,
    read_config,
)
from readability_triton.client.transports.transport import CONNECT_S, InferRequest

KEPT_ALIVE = 64
"""Connections that stay open; more are opened as needed, and closed after use."""

Headers = Mapping[str, str]


def _infer_path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}/infer"


def _config_path(model: str) -> str:
    return f"/v2/models/{quote(model, safe='')}/config"


_READY_PATH = "/v2/health/ready"


class _OnePacket:
    """A mixin for connections of urllib3, which send headers and body by two calls: the server would wake up twice."""

    _held: list[bytes] | None = None

    def request(self, *arguments: Any, **options: Any) -> None:
        """Send a request, its parts in one piece."""
        self._held = []
        try:
            super().request(*arguments, **options)  # type: ignore[misc]
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        """Send, or hold back within `request`."""
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)


class _Connection(_OnePacket, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_OnePacket, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class HttpTransport:
    """`readability_triton.client.transports.transport.Transport`.

    Args:
        location: host and port.
        is_secure: whether to use TLS.
        access: certificates, headers, compression.

    Raises:
        OSError: if a certificate cannot be read.
        ValueError: if `location` is no host and port.
    """

    def __init__(self, location: str, is_secure: bool, access: Access) -> None:
        self._headers = access.sent_headers()
        self._compression = access.compression
        self._context = access.ssl_context() if is_secure else None
        try:
            url = urllib3.util.parse_url(f"http://{location}")
        except HTTPError as error:
            raise ValueError(f"{location!r} is no host and port: {error}") from error
        self._host, self._port = url.host or "", url.port
        self._pool = self._open()

    def infer(self, request: InferRequest, timeout_s: float) -> BinaryAnswer:
        """Send a request and wait for its answer."""
        body, headers = encode(request, self._compression)
        response = self._call("POST", _infer_path(request.model), timeout_s, body, headers)
        return BinaryAnswer(response.data, json_length(response.headers))

    def model_config(self, model: str, timeout_s: float) -> Mapping[str, Any]:
        """The configuration of a model."""
        return read_config(self._call("GET", _config_path(model), timeout_s).data)

    def is_ready(self, timeout_s: float) -> bool:
        """Whether the server says that it is ready."""
        return self._send("GET", _READY_PATH, timeout_s, None, {}).status == 200

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _open(self) -> urllib3.HTTPConnectionPool:
        if self._context is None:
            return _Pool(self._host, self._port, maxsize=KEPT_ALIVE)
        return _SecurePool(self._host, self._port, maxsize=KEPT_ALIVE, ssl_context=self._context)

    def _call(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: Headers | None = None
    ) -> urllib3.BaseHTTPResponse:
        response = self._send(method, path, timeout_s, body, headers or {})
        check_status(response.status, response.data)
        return response

    def _send(
        self, method: str, path: str, timeout_s: float, body: bytes | None, headers: Headers
    ) -> urllib3.BaseHTTPResponse:
        try:
            try:
                return self._send_once(method, path, timeout_s, body, headers)
            except ProtocolError:
                # A server may close a kept-alive connection at the moment when it is used: a new one shows.
                return self._send_once(method, path, timeout_s, body, headers)
        except ReadTimeoutError as error:
            raise TimeoutError(str(error)) from error
        except (ConnectTimeoutError, HTTPError) as error:
            raise ConnectionError(f"TLS: {error}" if isinstance(error, SSLError) else str(error)) from error

    def _send_once(
        self, method: str, path: str, timeout_s: float, body: bytes | None, headers: Headers
    ) -> urllib3.BaseHTTPResponse:
        return self._pool.urlopen(
            method,
            path,
            body=body,
            headers={**self._headers, **headers},
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
        )


class AsyncHttpTransport:
    """`HttpTransport` with coroutines: `readability_triton.client.transports.transport.AsyncTransport`.

    Make it inside the running loop that uses it.
    """

    def __init__(self, location: str, is_secure: bool, access: Access) -> None:
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
        return BinaryAnswer(data, json_length(answered))

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
