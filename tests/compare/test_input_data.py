"""Files in perf_analyzer's format: what it takes is taken, with its meaning; what fits no model is refused by name."""

import base64
import json

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import serialize_byte_tensor

from readability_triton.compare.input_data import read_input_data

BATCHED = """
name: "batched" max_batch_size: 8
input { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }
input { name: "X" data_type: TYPE_FP32 dims: [ 3 ] }
input { name: "N" data_type: TYPE_UINT8 dims: [ -1 ] optional: true }
input { name: "GRID" data_type: TYPE_INT32 dims: [ -1, -1 ] optional: true }
input { name: "IS" data_type: TYPE_BOOL dims: [ 1 ] optional: true }
input { name: "B" data_type: TYPE_BF16 dims: [ 1 ] optional: true }
"""
UNBATCHED = """
name: "unbatched" max_batch_size: 0
input { name: "TEXT" data_type: TYPE_STRING dims: [ -1 ] }
input { name: "X" data_type: TYPE_FP32 dims: [ 2, 3 ] optional: true }
"""


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.fixture
def read(tmp_path):
    def read(entries, config=BATCHED):
        file = tmp_path / "data.json"
        file.write_text(json.dumps({"data": entries}))
        return read_input_data(file, text_format.Parse(config, ModelConfig())).requests

    return read


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("TEXT", ["a"], [["a"]]),
        ("TEXT", {"content": ["ä"]}, [["ä"]]),
        ("TEXT", {"content": ["a"], "shape": [1]}, [["a"]]),
        ("TEXT", {"content": ["a", "b"], "shape": [2, 1]}, [["a"], ["b"]]),
        ("TEXT", ["a", "b"], [["a"], ["b"]]),
        ("TEXT", {"b64": b64(b"\2\0\0\0ab")}, [["ab"]]),
        ("TEXT", {"content": {"b64": b64(b"\0\0\0\0")}, "shape": [1]}, [[""]]),
        ("X", [1, 2.5, 3], [[1, 2.5, 3]]),
        ("X", [[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 5, 6]]),
        ("X", {"content": [1, 2, 3], "shape": [3]}, [[1, 2, 3]]),
        ("X", {"content": [1, 2, 3, 4, 5, 6], "shape": [2, 3]}, [[1, 2, 3], [4, 5, 6]]),
        ("X", {"b64": b64(np.array([1, 2, 3], "<f4").tobytes())}, [[1, 2, 3]]),
        ("X", {"content": {"b64": b64(np.array([1, 2, 3], "<f4").tobytes())}, "shape": [3]}, [[1, 2, 3]]),
        ("N", [0, 255], [[0, 255]]),
        ("N", [], [[]]),
        ("N", {"content": [1, 2, 3, 4], "shape": [2, 2]}, [[1, 2], [3, 4]]),
        ("GRID", {"content": [1, 2, 3, 4], "shape": [2, 2]}, [[[1, 2], [3, 4]]]),
        ("IS", [True], [[True]]),
    ],
)
def test_a_shape_without_the_batch_is_one_row_and_one_with_it_as_many_as_it_says(read, name, given, expected):
    (request,) = read([{"TEXT": ["a"], "X": [1, 2, 3]} | {name: given}])
    array = request[name]
    assert (np.vectorize(bytes.decode)(array) if name == "TEXT" else array).tolist() == expected


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("TEXT", ["a", "b"], [b"a", b"b"]),
        ("TEXT", {"content": ["a", "b"], "shape": [2]}, [b"a", b"b"]),
        ("X", [1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]),
        ("X", {"content": [1, 2, 3, 4, 5, 6], "shape": [2, 3]}, [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_a_model_that_does_not_batch_gets_the_shape_as_it_is(read, name, given, expected):
    assert read([{"TEXT": ["a"]} | {name: given}], UNBATCHED)[0][name].tolist() == expected


def test_streams_are_read_one_after_the_other_and_a_member_model_is_ignored(read):
    streams = [[{"TEXT": ["a"]}, {"TEXT": ["b"], "model": "unbatched"}], [{"TEXT": ["c"]}]]
    assert [request["TEXT"].tolist() for request in read(streams, UNBATCHED)] == [[b"a"], [b"b"], [b"c"]]


def test_types_are_the_models_and_optional_inputs_may_be_missing(read):
    (request,) = read([{"TEXT": ["a"], "X": [1, 2, 3], "N": [1]}])
    assert {name: array.dtype for name, array in request.items()} == {
        "TEXT": np.object_,
        "X": np.float32,
        "N": np.uint8,
    }


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=5))
def test_strings_in_base64_are_any_bytes(tmp_path_factory, strings):
    raw = serialize_byte_tensor(np.array(strings, dtype=object)).item()
    file = tmp_path_factory.mktemp("data") / "data.json"
    file.write_text(json.dumps({"data": [{"TEXT": {"b64": b64(raw)}}]}))
    (request,) = read_input_data(file, text_format.Parse(UNBATCHED, ModelConfig())).requests
    assert request["TEXT"].tolist() == strings


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"X": None}, "input X: expected a list of values"),
        ({"X": [1, 2]}, r"input X: 2 values do not fit the shape \[0, 3\]"),
        ({"X": {"content": [1, 2, 3], "shape": [2]}}, r"shape \[2\] does not fit the model's \[-1, 3\]"),
        ({"X": {"content": [1, 2, 3], "shape": [1, 1, 3]}}, r"shape \[1, 1, 3\] does not fit"),
        ({"X": {"content": [1, 2, 3], "shape": 3}}, "input X: "),
        ({"X": {"shape": [3]}}, "input X: no 'b64'"),
        ({"X": ["b", 1, 2]}, "'b' is no FP32"),
        ({"X": {"b64": "?"}}, "input X: "),
        ({"X": {"b64": b64(b"12345")}}, "input X: "),
        ({"N": [256]}, "256 is no UINT8"),
        ({"N": [1.5]}, "1.5 is no UINT8"),
        ({"N": [True]}, "True is no UINT8"),
        ({"IS": [1]}, "1 is no BOOL"),
        ({"B": [1]}, "BF16"),
        ({"GRID": [1, 2, 3, 4]}, r"shape is missing, which does not fit the model's \[-1, -1, -1\]"),
        ({"TEXT": [5]}, "input TEXT: 5 is no string"),
        ({"TEXT": {"b64": b64(b"\x09\0\0\0ab")}}, "not strings, each after its length"),
        ({"TEXT": {"b64": b64(b"ab")}}, "not strings, each after its length"),
        ({"Y": [1]}, "batched has no input Y"),
    ],
)
def test_what_does_not_fit_is_refused_with_file_request_and_input_named(read, entry, message):
    fits = {"TEXT": ["a"], "X": [1, 2, 3]}
    with pytest.raises(ValueError, match=message) as failure:
        read([fits, fits | entry])
    assert "data.json: request 1: " in str(failure.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not input data"),
        ("{", "not input data"),
        ('{"data": 5}', "not input data"),
        ('{"data": ["a"]}', "request 0"),
        ('{"data": [5]}', "not input data"),
        ('{"data": []}', "no request"),
        ('{"data": [{"TEXT": ["a"]}]}', "request 0 has no input X"),
    ],
)
def test_a_file_of_another_format_is_refused_with_its_name(tmp_path, content, message):
    file = tmp_path / "data.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=message) as failure:
        read_input_data(file, text_format.Parse(BATCHED, ModelConfig()))
    assert "data.json" in str(failure.value)
