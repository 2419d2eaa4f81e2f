"""What goes over the wire by HTTP, and what a server or a gateway may do to it."""

import asyncio
import gzip
import json
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import (
    AccessDeniedError,
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.scorer import Scorer
from readability_triton.client.transports import http
from readability_triton.client.transports.binary_tensors import BinaryAnswer
from readability_triton.client.transports.http import HttpTransport
from readability_triton.client.transports.transport import InferRequest

TEXTS = ["one", "three", "zwölf", "a longer text", "x"]
EXPECTED = np.array([len(text.encode()) / 2 for text in TEXTS], np.float32)


@pytest.fixture(params=["synchronous", "asynchronous"])
def score(request):
    """Score some texts by a scorer of its own."""

    def run(url, texts=TEXTS, **options):
        if request.param == "synchronous":
            with Scorer(url=url, **options) as scorer:
                return scorer.score(texts).values

        async def ask():
            async with AsyncScorer(url=url, **options) as scorer:
                return (await scorer.score(texts)).values

        return asyncio.run(ask())

    return run


def test_texts_arrive_and_scores_come_back_over_one_connection(http_wire, score):
    np.testing.assert_array_equal(score(http_wire.url), EXPECTED)
    assert len(http_wire.requests) == 2
    assert http_wire.connections == 1


def test_parameters_ids_and_headers_arrive(http_wire, score):
    access = Access(headers={"X-Team": "reading"}, token="secret")
    score(http_wire.url, parameters={"policy": "deadline", "deadline_ms": 100, "strict": True}, access=access)
    headers, asked = http_wire.requests[0]
    assert asked["parameters"] == {"policy": "deadline", "deadline_ms": 100, "strict": True}
    assert {name.lower(): value for name, value in headers.items()}.items() >= {
        "x-team": "reading",
        "authorization": "Bearer secret",
    }.items()
    assert asked["id"] != http_wire.requests[1][1]["id"]


@pytest.mark.parametrize("name", ["timeout", "priority", "triton_x"])
def test_parameters_of_tritons_own_are_refused(http_wire, wire, score, name):
    with pytest.raises((InvalidRequestError, InferenceError), match="Triton keeps"):
        score(http_wire.url, parameters={name: 1})
    with pytest.raises((InvalidRequestError, InferenceError), match="reserved"):
        score(wire.url, parameters={name: 1})


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_requests_and_answers_may_be_compressed(http_wire, score, compression):
    np.testing.assert_array_equal(score(http_wire.url, access=Access(compression=compression)), EXPECTED)
    headers, _ = http_wire.requests[0]
    assert headers["Content-Encoding"] == compression


def test_a_refused_row_is_named(http_wire, score):
    with pytest.raises(InvalidRequestError, match="row 5: text is forbidden"):
        score(http_wire.url, [*TEXTS, "forbidden"])


def test_a_connection_that_the_server_drops_is_opened_anew_once(http_wire, score):
    http_wire.drop = 1
    np.testing.assert_array_equal(score(http_wire.url), EXPECTED)


def test_a_server_that_drops_every_request_is_none(http_wire, score):
    http_wire.drop = 1000
    with pytest.raises(ServerUnreachableError, match=f"no server at {http_wire.url}"):
        score(http_wire.url)


REFUSAL = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch"


def test_a_large_body_that_a_gateway_refuses_unread_has_its_reason(raw_server):
    with pytest.raises(InferenceServerException, match=r"HTTP 413 .*: much"):
        ask(raw_server(REFUSAL), [b"x" * (16 << 20)])


def test_what_a_gateway_wrote_to_an_idle_connection_is_no_answer_to_the_next_request():
    def serve(page):
        connection = listener.accept()[0]
        connection.recv(65536)
        connection.sendall(page)
        return connection

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor(1) as pool,
        closing(HttpTransport(f"127.0.0.1:{listener.getsockname()[1]}", False, Access())) as transport,
    ):
        listener.settimeout(10)
        for _ in range(2):
            served = pool.submit(serve, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert transport.is_ready(10)
            with served.result() as connection:
                connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, ssl.SSLEOFError])
def test_a_request_that_breaks_off_has_its_answer_and_its_connection_is_not_used_again(http_wire, monkeypatch, error):
    """A TLS connection that is closed raises `SSLEOFError` on Python 3.11; whether its answer is lost is a race."""
    send = HTTPConnection.request

    def break_off(connection, *arguments):
        send(connection, *arguments)
        raise error

    monkeypatch.setattr(HTTPConnection, "request", break_off)
    with closing(HttpTransport(http_wire.url.removeprefix("http://"), False, Access())) as transport:
        assert transport.is_ready(10)
        assert transport.is_ready(10)
    assert http_wire.connections == 2


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
def test_an_answer_that_is_not_packed_as_it_says_is_an_error(raw_server, encoding):
    page = f"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: {encoding}\r\n\r\nmuch".encode()
    expected = "not KServe v2" if encoding == "identity" else f"the answer is not {encoding}"
    with pytest.raises((InferenceServerException, ConnectionError), match=expected):
        ask(raw_server(page), [b"x"])


@pytest.mark.parametrize(
    ("packed", "expected"),
    [
        (gzip.compress(bytes(1000)), "not KServe v2"),
        (gzip.compress(bytes(1001)), "gzip of more than 1000 bytes"),
        (gzip.compress(bytes(1000))[:-1], "not gzip: it ends too early"),
    ],
    ids=["at the bound", "beyond it", "cut off"],
)
def test_a_compressed_answer_has_an_end_and_a_bound(raw_server, monkeypatch, packed, expected):
    monkeypatch.setattr(http, "LARGEST_UNPACKED", 1000)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(packed)}\r\nContent-Encoding: gzip\r\n\r\n".encode()
    with pytest.raises((InferenceServerException, ConnectionError), match=expected):
        ask(raw_server(head + packed), [b"x"])


def test_an_empty_answer_needs_no_unpacking(raw_server):
    page = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nContent-Encoding: gzip\r\n\r\n"
    with pytest.raises(InferenceServerException, match="HTTP 503 Service Unavailable"):
        ask(raw_server(page), [b"x"])


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b""),
    ],
    ids=["head", "body"],
)
def test_an_answer_that_trickles_in_is_given_up(begin, end):
    def trickle():
        over = threading.Event()
        with listener.accept()[0] as connection, suppress(OSError):
            connection.sendall(begin)
            for _ in range(100):
                connection.sendall(b"x")
                over.wait(0.01)
            connection.sendall(end)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        closing(HttpTransport(f"127.0.0.1:{listener.getsockname()[1]}", False, Access())) as transport,
    ):
        threading.Thread(target=trickle, daemon=True).start()
        with pytest.raises(TimeoutError, match=r"no answer within 0\.3 s"):
            transport.is_ready(0.3)


@pytest.mark.parametrize("blob", [b"\x05\0\0", b"\x05\0\0\0bls"])
def test_a_string_tensor_that_ends_too_early_is_an_error(blob):
    output = {"name": "ROUTE", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": len(blob)}}
    header = json.dumps({"outputs": [output]}).encode()
    with pytest.raises(InferenceServerException, match="not KServe v2"):
        BinaryAnswer(header + blob, len(header))


@pytest.fixture
def raw_server():
    """A server that reads a request as far as the first part that ends in x, sends the bytes given and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(page):
            with listener.accept()[0] as connection:
                while not connection.recv(65536).endswith(b"x"):
                    pass
                connection.sendall(page)

        def start(page):
            threading.Thread(target=serve, args=(page,), daemon=True).start()
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield start


def ask(location, texts):
    excerpts = np.array([texts], dtype=object)
    with closing(HttpTransport(location, False, Access())) as transport:
        transport.infer(InferRequest("bls_pipeline", {"excerpt": excerpts}, ("SCORE",)), 10)


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (401, b"<html>Sign in</html>", AccessDeniedError, "refuses access: HTTP 401 Unauthorized: <html>Sign in"),
        (403, b'{"error": "wrong key"}', AccessDeniedError, "refuses access: wrong key"),
        (429, b"", ServerBusyError, "HTTP 429"),
        (502, b"upstream", ServerUnreachableError, "HTTP 502 Bad Gateway: upstream"),
        (503, b'{"error": "model is not ready"}', ModelUnavailableError, "model is not ready"),
        (504, b"", RequestTimeoutError, "HTTP 504"),
        (500, b"\xff\xfe", InferenceError, "HTTP 500"),
        (302, b"", InferenceError, "HTTP 302 Found"),
        (299, b"", InferenceError, "HTTP 299 unknown status"),
    ],
)
def test_a_gateways_page_is_an_error_that_repeats_it(http_wire, score, status, body, expected, message):
    http_wire.page = (status, body)
    with pytest.raises(expected, match=message):
        score(http_wire.url)


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"null", b'{"name": 3}'])
def test_a_page_in_place_of_an_answer_is_an_error(http_wire, score, body):
    http_wire.page = (200, body)
    with pytest.raises(InferenceError, match=r"KServe v2|not a model configuration"):
        score(http_wire.url)


def test_a_slow_answer_is_given_up(http_wire, score):
    http_wire.delay_s = 0.6
    with pytest.raises(RequestTimeoutError, match=f"no answer from {http_wire.url}"):
        score(http_wire.url, timeout_s=0.2)


@pytest.mark.parametrize(
    "url",
    [
        "http://host:port",
        "http://[::1",
        "http://host:99999",
        "http://127.0.0.1:-1",
        "http://a..b:8000",
        f"http://{'x' * 64}:8000",
    ],
)
def test_a_location_that_is_none_is_refused(score, url):
    with pytest.raises(ValueError, match="no host and port"):
        score(url)


def test_a_location_that_is_none_is_refused_before_the_first_call():
    with pytest.raises(ValueError, match="no host and port"):
        Scorer(url="http://a..b:8000")
