import pytest

from readability_triton.compare.arm import Arm, parse_arm, two_arms


@pytest.mark.parametrize(
    ("text", "model", "parameters"),
    [
        ("ensemble_all", "ensemble_all", ()),
        ("hybrid", "hybrid", ()),
        ("bls_pipeline?policy=parallel", "bls_pipeline", (("policy", "parallel"),)),
        ("m?a=1&b=2.5&c=true&d=false&e=", "m", (("a", 1), ("b", 2.5), ("c", True), ("d", False), ("e", ""))),
        ("m?a=x%26y", "m", (("a", "x&y"),)),
    ],
)
def test_an_arm_is_a_model_with_parameters(text, model, parameters):
    assert parse_arm(text) == Arm(text, model, parameters)
    assert [type(value) for _, value in parse_arm(text).parameters] == [type(value) for _, value in parameters]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "names no model"), ("?a=1", "names no model"), ("m?a", "a"), ("hybrid?a=1", "no request")],
)
def test_what_is_no_arm_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_arm(text)


def test_the_arms_of_an_a_a_test_have_different_labels():
    one, other = two_arms("m?a=1", "m?a=1")
    assert one.label != other.label
    assert (one.model, one.parameters) == (other.model, other.parameters)


def test_two_settings_of_one_model_keep_their_labels():
    assert [arm.label for arm in two_arms("m?a=1", "m?a=2")] == ["m?a=1", "m?a=2"]
