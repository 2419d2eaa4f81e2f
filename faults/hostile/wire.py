"""Send bytes to a server as no well-behaved client would, and say what came back."""

import http.client
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

TIMEOUT_S = 30.0
REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED}


class Fate(Enum):
    """What became of a hostile request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DROPPED = "dropped"
    SERVER_ERROR = "server error"
    HUNG = "hung"


class Reply(NamedTuple):
    """What came back, and the server's words on it."""

    fate: Fate
    message: str = ""


def post(url: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
    """An HTTP POST with these bytes."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        message = answer.read(2000).decode(errors="replace")
    except TimeoutError:
        return Reply(Fate.HUNG)
    except (http.client.HTTPException, OSError) as error:
        return Reply(Fate.DROPPED, type(error).__name__)
    finally:
        connection.close()
    if answer.status < http.client.BAD_REQUEST:
        return Reply(Fate.ANSWERED)
    return Reply(Fate.REFUSED if answer.status < http.client.INTERNAL_SERVER_ERROR else Fate.SERVER_ERROR, message)


class Channel:
    """A gRPC channel for requests that are made by hand."""

    def __init__(self, url: str) -> None:
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(url.removeprefix("grpc://"), options=unlimited)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def infer(self, request: "service_pb2.ModelInferRequest") -> Reply:
        """Send a request."""
        try:
            self._stub.ModelInfer(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            code, message = error.code(), error.details() or ""
            if code in REFUSALS:
                return Reply(Fate.REFUSED, message)
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                return Reply(Fate.HUNG)
            return Reply(Fate.DROPPED if code is grpc.StatusCode.UNAVAILABLE else Fate.SERVER_ERROR, message)
        return Reply(Fate.ANSWERED)
