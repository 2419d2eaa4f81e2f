import socket

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException, deserialize_bytes_tensor

from readability_triton.client.errors import (
    AccessDeniedError,
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.protocol import (
    Address,
    Batch,
    batches,
    input_tensors,
    may_fall_back,
    read_scores,
    translate,
    weights_of,
)
from readability_triton.client.served_model import ServedModel


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc://localhost:8001", ("grpc", "localhost:8001")),
        ("http://localhost:8000", ("http", "localhost:8000")),
        ("http://localhost:8000/", ("http", "localhost:8000")),
        ("10.0.0.1:9001", ("grpc", "10.0.0.1:9001")),
        ("triton", ("grpc", "triton")),
        ("grpc://[::1]:8001", ("grpc", "[::1]:8001")),
        ("https://triton.test", ("https", "triton.test")),
        ("grpcs://triton.test:443", ("grpcs", "triton.test:443")),
    ],
)
def test_an_address_is_read(url, expected):
    assert Address.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "grpc://",
        "http:///",
        "ftp://host",
        "httpss://host",
        "http://host?key=1",
        "://host",
        "http://host/v2/models",
        "host/path",
    ],
)
def test_what_is_no_address_is_refused_with_the_two_forms(url):
    with pytest.raises(ValueError, match="is not grpc://HOST:PORT or http://HOST:PORT"):
        Address.parse(url)


@pytest.mark.parametrize("urls", ["a:1,http://b:2", ["a:1", "http://b:2"], ["a:1, http://b:2"]])
def test_several_addresses_are_read(urls):
    assert [address.url for address in Address.parse_all(urls)] == ["grpc://a:1", "http://b:2"]


@pytest.mark.parametrize("urls", [[], "", "a:1,,b:2", "a:1,grpc://a:1"])
def test_no_address_or_one_twice_is_refused(urls):
    with pytest.raises(ValueError, match=r"no address, or one twice|is not grpc://"):
        Address.parse_all(urls)


texts = st.lists(st.binary(max_size=10), max_size=30)


@given(texts, st.integers(1, 12), st.randoms())
def test_batches_hold_every_row_once_in_order_with_its_weight(given_texts, size, rng):
    weights = [rng.random() for _ in given_texts]
    cut = batches(given_texts, weights_of(weights, len(given_texts)), size)
    assert [row for batch in cut for row in batch.excerpts[:, 0]] == given_texts
    assert [weight for batch in cut for weight in batch.weights[:, 0]] == [np.float32(weight) for weight in weights]
    assert [batch.start for batch in cut] == list(range(0, len(given_texts), size))
    assert all(1 <= len(batch.excerpts) <= size for batch in cut)
    assert all(batch.excerpts.shape == batch.weights.shape == (len(batch.excerpts), 1) for batch in cut)


@given(st.integers(0, 12), st.floats(0, 1))
def test_one_weight_is_for_all(n_texts, weight):
    assert weights_of(weight, n_texts).tolist() == [np.float32(weight)] * n_texts


@pytest.mark.parametrize("weights", [[0.5], [0.5] * 4, []])
def test_more_or_fewer_weights_than_texts_are_refused(weights):
    with pytest.raises(ValueError, match=f"3 texts but {len(weights)} weights"):
        weights_of(weights, 3)


@pytest.mark.parametrize("library", [tritonclient.grpc, tritonclient.http], ids=["grpc", "http"])
def test_the_tensors_have_the_contracts_names_shapes_and_types(library):
    (batch,) = batches([b"one", "zwölf".encode()], weights_of([0.25, 1], 2), 8)
    excerpt, weight = input_tensors(library, {"excerpt": batch.excerpts, "BERT_WEIGHT": batch.weights})
    assert (excerpt.name(), excerpt.shape(), excerpt.datatype()) == ("excerpt", [2, 1], "BYTES")
    assert (weight.name(), weight.shape(), weight.datatype()) == ("BERT_WEIGHT", [2, 1], "FP32")
    raw_excerpt, raw_weight = (
        vars(each).get("_raw_content", vars(each).get("_raw_data")) for each in (excerpt, weight)
    )
    assert deserialize_bytes_tensor(raw_excerpt).tolist() == [b"one", "zwölf".encode()]
    assert np.frombuffer(raw_weight, np.float32).tolist() == [0.25, 1]


NOT_READY = "Request for unknown model: 'bls_pipeline' version 1 is not at ready state"
UNHEALTHY = "Stub process 'bls_pipeline_0_1' is not healthy."
UNRESOLVED = "errors resolving triton.test:8001: address lookup failed for triton.test:8001: Domain name not found"


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("StatusCode.INVALID_ARGUMENT", "row 3: text is empty", InvalidRequestError),
        ("400", "row 3: text is empty", InvalidRequestError),
        ("400", "unexpected shape for input 'excerpt'", InvalidRequestError),
        ("StatusCode.UNAVAILABLE", NOT_READY, ModelUnavailableError),
        ("StatusCode.NOT_FOUND", "Request for unknown model: 'x' is not found", ModelUnavailableError),
        ("400", "Request for unknown model: 'x' is not found", ModelUnavailableError),
        ("404", "no such path", ModelUnavailableError),
        ("503", "busy", ModelUnavailableError),
        ("503", "Exceeds maximum queue size", ServerBusyError),
        ("503", "queue: busy: this request waited 31.0 s, at most 30 are allowed", ServerBusyError),
        ("StatusCode.UNAVAILABLE", "bert-large: Exceeds maximum queue size", ServerBusyError),
        ("StatusCode.UNAVAILABLE", "bert-large: no answer in time", RequestTimeoutError),
        ("503", "preprocess: no answer within 120 s", RequestTimeoutError),
        ("503", "bert-large: Request timeout expired", RequestTimeoutError),
        ("500", UNHEALTHY, ModelUnavailableError),
        ("StatusCode.INTERNAL", UNHEALTHY, ModelUnavailableError),
        ("StatusCode.DEADLINE_EXCEEDED", "Deadline Exceeded", RequestTimeoutError),
        ("499", "client closed request", RequestTimeoutError),
        ("504", "gateway timeout", RequestTimeoutError),
        ("StatusCode.UNAVAILABLE", "failed to connect to all addresses; Connection refused", ServerUnreachableError),
        ("StatusCode.UNAVAILABLE", "Socket closed", ServerUnreachableError),
        ("StatusCode.UNAVAILABLE", "recvmsg: Connection reset by peer", ServerUnreachableError),
        ("StatusCode.UNAVAILABLE", "DNS resolution failed for triton.test:8001", ServerUnreachableError),
        ("StatusCode.UNAVAILABLE", UNRESOLVED, ServerUnreachableError),
        ("StatusCode.UNAVAILABLE", "Stream removed", ServerUnreachableError),
        ("502", "HTTP 502 Bad Gateway", ServerUnreachableError),
        ("429", "HTTP 429 Too Many Requests", ServerBusyError),
        ("401", "HTTP 401 Unauthorized", AccessDeniedError),
        ("403", "This protocol is restricted, expecting header 'key'", AccessDeniedError),
        ("StatusCode.UNAUTHENTICATED", "no token", AccessDeniedError),
        ("StatusCode.INTERNAL", "row 3: not finite", InferenceError),
        ("500", "CUDA out of memory", InferenceError),
        (None, "something else", InferenceError),
    ],
)
def test_every_answer_that_is_none_becomes_a_typed_error(status, message, expected):
    error = translate(InferenceServerException(message, status), url="grpc://triton.test:8001")
    assert type(error) is expected
    assert message.partition(": ")[2] in str(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError("timed out"), RequestTimeoutError),
        (ConnectionRefusedError(111, "Connection refused"), ServerUnreachableError),
        (socket.gaierror(-2, "Name or service not known"), ServerUnreachableError),
    ],
)
def test_errors_below_http_name_the_address(error, expected):
    translated = translate(error, url="http://triton.test:8000")
    assert type(translated) is expected
    assert "http://triton.test:8000" in str(translated)


@given(st.integers(0, 511), st.integers(0, 10**6), st.sampled_from(["StatusCode.INVALID_ARGUMENT", "400"]))
def test_the_row_is_counted_over_the_whole_call(row, first_row, status):
    message = f"in ensemble 'ensemble_all', row {row}: text is not UTF-8\nat byte 4"
    error = translate(InferenceServerException(message, status), first_row)
    assert error.row == row + first_row
    assert error.reason == "text is not UTF-8\nat byte 4"


def test_a_refusal_of_the_whole_request_has_no_row():
    error = translate(InferenceServerException("batch size 600 exceeds 512", "400"), 32)
    assert error.row is None
    assert error.reason == str(error) == "batch size 600 exceeds 512"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModelUnavailableError("x"), True),
        (ServerUnreachableError("x"), True),
        (InvalidRequestError("x", 1), False),
        (RequestTimeoutError("x"), False),
        (InferenceError("x"), False),
    ],
)
def test_only_a_pipeline_that_cannot_be_reached_is_worth_another_try(error, expected):
    assert may_fall_back(error) is expected


class Answer(dict):
    """An answer of `tritonclient`: arrays by output name."""

    as_numpy = dict.get


COLUMN = np.ones((2, 1), np.float32)
DETAILS = {
    "BERT_SCORE": COLUMN,
    "CUML_SCORE": COLUMN,
    "ROUTE": np.array([[b"cuml"], [b"cuml"]], object),
    "DEGRADED": np.zeros((2, 1), bool),
}


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("SCORE", np.ones(2, np.float32), r"output SCORE of m is float32 \[2\]; expected float32 \[2, 1\]"),
        ("SCORE", np.ones((2, 2), np.float32), r"output SCORE of m is float32 \[2, 2\]"),
        ("SCORE", np.ones((3, 1), np.float32), r"output SCORE of m is float32 \[3, 1\]"),
        ("SCORE", np.ones((2, 1)), r"output SCORE of m is float64 \[2, 1\]"),
        ("SCORE", None, "m answered without output SCORE"),
        ("CUML_SCORE", np.ones(2, np.float32), "output CUML_SCORE of m is float32"),
        ("BERT_SCORE", None, "m answered without output BERT_SCORE"),
        ("DEGRADED", COLUMN, "output DEGRADED of m is float32"),
        ("ROUTE", COLUMN, "output ROUTE of m is float32"),
    ],
)
def test_an_answer_of_another_shape_or_type_is_an_error_that_names_it(name, array, message):
    good = Answer({"SCORE": COLUMN} | DETAILS)
    model, batch = ServedModel("m", 2, None, ()), Batch(0, np.array([[b"a"], [b"b"]], object), COLUMN)
    assert read_scores(good, model, batch, details=True).values.tolist() == [1.0, 1.0]
    with pytest.raises(InferenceServerException, match=message):
        read_scores(Answer(good | {name: array}), model, batch, details=True)
