"""Loopback ports that are free."""

import socket
from contextlib import ExitStack

from readability_triton.serving.errors import PortTakenError


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """As many different free ports; another program may still take one before it is used."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return [each.getsockname()[1] for each in sockets]


def check_free(port: int, host: str) -> None:
    """Raise `PortTakenError` if something listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(f"port {port} on {host} cannot be used: {error.strerror}") from error
