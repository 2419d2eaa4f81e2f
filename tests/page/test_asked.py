"""What a browser may ask for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.client.errors import InvalidRequestError
from readability_triton.page.asked import Asked

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)
)
FIELDS = st.dictionaries(st.sampled_from(["text", "weight", "policy", "settings", "other"]), JSON)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ([], "not a JSON object"),
        ({}, "text is missing"),
        ({"text": "a", "wait": 1}, "unknown fields: wait"),
        ({"text": "a", "weight": 1.01}, "weight is a number from 0 to 1, not 1.01"),
        ({"text": "a", "weight": -1}, "weight is a number"),
        ({"text": "a", "weight": float("nan")}, "weight is a number"),
        ({"text": "a", "weight": True}, "weight is a number"),
        ({"text": "a", "weight": "0.5"}, "weight is a number"),
        ({"text": "a", "policy": None}, "policy is a name"),
        ({"text": "a", "settings": []}, "settings is not a JSON object"),
        ({"text": "a", "settings": {"policy": "guard"}}, "setting policy"),
        ({"text": "a", "settings": {"deadline_ms": None}}, "setting deadline_ms is a string or a number"),
        ({"text": "a", "settings": {"deadline_ms": True}}, "setting deadline_ms"),
        ({"text": "a", "settings": {"deadline_ms": 10**30}}, "setting deadline_ms"),
        ({"text": "a", "settings": {"deadline_ms": float("inf")}}, "setting deadline_ms"),
        ({"text": "a", "settings": {"deadline_ms": float("nan")}}, "setting deadline_ms"),
    ],
)
def test_what_is_wrong_is_named(fields, why):
    with pytest.raises(InvalidRequestError, match=why):
        Asked.of(json.dumps(fields).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"text": "a"} x', b"[" * 100_000])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(InvalidRequestError, match="JSON"):
        Asked.of(body)


@given(FIELDS | JSON)
def test_any_json_is_read_or_refused(fields):
    try:
        asked = Asked.of(json.dumps(fields).encode())
    except InvalidRequestError:
        return
    assert asked.text.strip()
    assert asked.weight is None or 0 <= asked.weight <= 1
    assert all(isinstance(value, str | float | int) for value in asked.parameters.values())


def test_parameters_are_those_of_the_request():
    body = {"text": "a", "policy": "deadline", "settings": {"deadline_ms": 5}}
    assert Asked.of(json.dumps(body).encode()).parameters == {"policy": "deadline", "deadline_ms": 5}
    assert Asked("a").parameters == {}
