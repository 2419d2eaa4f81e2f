"""Connections to the server that is measured: by TLS, with headers and a token, where it wants them."""

from typing import Any

import grpc.aio
from tritonclient.grpc import InferenceServerClientPlugin
from tritonclient.grpc.aio import InferenceServerClient

from readability_triton.client.access import Access
from readability_triton.client.protocol import Address
from readability_triton.client.transports.grpc import CHANNEL_OPTIONS


class _Headers(InferenceServerClientPlugin):
    """Headers that go with every call."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: Any) -> None:
        request.headers = {**(request.headers or {}), **self._headers}


def grpc_address(url: str, access: Access) -> Address:
    """The address of a server, by gRPC.

    Raises:
        ValueError: if it is another kind of address, or certificates are given for one without TLS.
    """
    address = Address.parse(url)
    if not address.is_grpc:
        raise ValueError(f"{url} is not a gRPC address")
    if access.has_tls_files and not address.is_secure:
        raise ValueError(f"certificates are for grpcs://, not {url}")
    return address


def open_client(url: str, access: Access) -> InferenceServerClient:
    """`tritonclient`'s client, for what is not measured.

    Raises:
        ValueError: see `grpc_address`.
        OSError: if a certificate cannot be read.
    """
    address = grpc_address(url, access)
    client = InferenceServerClient(
        address.location, creds=_credentials(address, access), channel_args=list(CHANNEL_OPTIONS)
    )
    client.register_plugin(_Headers(access.sent_headers()))
    return client


def open_channel(url: str, access: Access) -> grpc.aio.Channel:
    """A bare channel, for serialised requests.

    Raises:
        ValueError, OSError: see `open_client`.
    """
    address = grpc_address(url, access)
    credentials = _credentials(address, access)
    if credentials is None:
        return grpc.aio.insecure_channel(address.location, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(address.location, credentials, options=CHANNEL_OPTIONS)


def _credentials(address: Address, access: Access) -> grpc.ChannelCredentials | None:
    return grpc.ssl_channel_credentials(*access.pem()) if address.is_secure else None
