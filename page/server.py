"""Serve the page over HTTP, in a thread."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 128
MOST_CONNECTIONS = 64
KEEP_ALIVE_S = 30
STOP_S = 5


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 stands for one that is free.

    Raises:
        OSError: if the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(f"port {port} on {host} cannot be used: {error.strerror}") from error
    return listening


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[str]:
    """Serve within the block; the address to open in a browser.

    Args:
        app: what to serve.
        listening: where; closed at the end.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the scheme and the address of a request are those of its connection
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    # The socket listens already: what comes before the thread is ready waits in its backlog.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="page")
    thread.start()
    try:
        yield _address(listening)
    finally:
        server.should_exit = True
        thread.join()


def as_in_urls(host: str) -> str:
    """A name or an address as URLs and the header `Host` have it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def _address(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    return f"http://{as_in_urls(host)}:{port}/"
