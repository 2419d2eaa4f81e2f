"""Requests and answers as bytes, against what tritonclient makes and reads."""

import numpy as np
import pytest
import tritonclient.grpc
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from tritonclient.grpc import InferRequestedOutput, InferResult, service_pb2
from tritonclient.grpc._utils import _get_inference_request

from readability_triton.client.protocol import input_tensors
from readability_triton.compare.arm import Arm
from readability_triton.compare.messages import read_outputs, serialise_outputs, serialise_request

NAMES = st.text(min_size=1, max_size=12)
SHAPES = st_numpy.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
NUMBERS = st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]).flatmap(
    lambda dtype: st_numpy.arrays(dtype, SHAPES)
)
STRINGS = st.lists(st.binary(max_size=20), min_size=1, max_size=6).map(
    lambda texts: np.array([*texts, None], dtype=object)[:-1].reshape(-1, 1)
)
PARAMETERS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: not name.startswith("triton_")),
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    max_size=3,
)


@given(
    st.dictionaries(NAMES, NUMBERS | STRINGS, min_size=1, max_size=3),
    st.none() | st.lists(NAMES, min_size=1, max_size=3),
    PARAMETERS,
)
def test_a_request_is_the_one_that_tritonclient_sends(inputs, outputs, parameters):
    wanted = None if outputs is None else [InferRequestedOutput(name) for name in outputs]
    tensors = input_tensors(tritonclient.grpc, inputs)
    expected = _get_inference_request("a model", tensors, "", "", wanted, 0, False, False, 0, None, parameters)
    message = serialise_request(Arm("label", "a model", tuple(parameters.items())), inputs, outputs)
    assert service_pb2.ModelInferRequest.FromString(message) == expected
    if len(parameters) < 2:  # several are in no order
        assert message == expected.SerializeToString()


@pytest.mark.parametrize("name", ["priority", "timeout", "triton_x"])
def test_a_reserved_parameter_is_refused(name):
    with pytest.raises(ValueError, match=name):
        serialise_request(Arm("m", "m", ((name, 1),)), {})


@given(st.dictionaries(NAMES, NUMBERS, min_size=1, max_size=3))
def test_outputs_come_back_as_they_were_and_as_tritonclient_reads_them(outputs):
    message = serialise_outputs(outputs)
    found = read_outputs(message)
    theirs = InferResult(service_pb2.ModelInferResponse.FromString(message))
    assert found.keys() == outputs.keys()
    for name, array in outputs.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        np.testing.assert_array_equal(found[name], theirs.as_numpy(name))


def test_bytes_that_are_no_answer_are_refused():
    cut = service_pb2.ModelInferResponse()
    cut.outputs.add(name="SCORE", datatype="FP32", shape=[2, 1])
    cut.raw_output_contents.append(b"\0\0\0\0")
    for message in (b"\xff\xff", cut.SerializeToString()):
        with pytest.raises(ValueError, match="cannot be read"):
            read_outputs(message)
