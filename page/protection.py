"""What keeps other sites in the same browser out.

A page of another site can send requests to loopback. By DNS rebinding it may even read the answers: its own name then
leads to this machine, so the name in `Host` must be ours. A `POST` must come from our own page, by its `Origin`, which
browsers set and scripts cannot. What is shown runs no script but ours (Content-Security-Policy).
"""

from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readability_triton.page.failures import BodyTooLargeError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class OwnOriginOnly:
    """Refuses requests that change or compute something unless `Origin` is the address of this page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or hand the request on."""
        if scope["type"] == "http" and scope["method"] not in READING:
            headers = Headers(scope=scope)
            if headers.get("origin") != f"{scope['scheme']}://{headers.get('host')}":
                message = f"Origin {headers.get('origin')} is not this page: only its own requests are answered"
                error = {"kind": "ForeignOriginError", "message": message, "request_id": ""}
                await JSONResponse({"error": error}, 403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class ProtectiveHeaders:
    """Adds `HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def protection(hosts: Iterable[str]) -> Sequence[Middleware]:
    """The middleware of the page; `hosts` are names and addresses, without a port, that `Host` may have."""
    return [
        Middleware(ProtectiveHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False),
        Middleware(OwnOriginOnly),
    ]


async def bounded_body(request: Request, most: int) -> bytes:
    """The body of a request.

    Raises:
        BodyTooLargeError: as soon as it has more than `most` bytes, or says that it will have.
    """
    parts: list[bytes] = []
    size = int(request.headers.get("content-length", 0))
    if size <= most:
        size = 0
        async for chunk in request.stream():
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                break
    if size > most:
        raise BodyTooLargeError(f"That is too large: this page takes {most / 2**20:.0f} MiB at most.")
    return b"".join(parts)
