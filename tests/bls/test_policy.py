"""Which policy a request is for, with what settings, and the error for a request that makes no sense."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bls import policies
from readability_triton.bls.policy import DEFAULT, Choice, PolicyError, choose, find_policy, policy_names

OURS = {"deadline", "fallback", "graph", "guard", "parallel"}
NAMES = sorted(file.stem for file in Path(policies.__path__[0]).glob("[!_]*.py"))


def settings(parameters: dict[str, Any], defaults: dict[str, str] | None = None) -> dict[str, Any]:
    return dict(choose(parameters, defaults or {}).settings)


def test_a_file_is_a_policy() -> None:
    assert policy_names() == NAMES
    assert set(NAMES) >= OURS


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_is_found_by_name_and_needs_no_settings(name: str) -> None:
    policy = find_policy(name)
    assert policy.name == policy.run.__name__ == name
    assert choose({"policy": name}, {}) == Choice(policy)


def test_the_default_is_that_of_the_configuration_or_else_parallel() -> None:
    assert DEFAULT == "parallel"
    assert choose({}, {}).policy.name == "parallel"
    assert choose({}, {"policy": "graph"}).policy.name == "graph"
    assert choose({"policy": "deadline"}, {"policy": "graph"}).policy.name == "deadline"


def test_settings_come_from_the_configuration_where_the_request_is_silent() -> None:
    defaults = {"policy": "deadline", "deadline_ms": "50", "on_failure": "ensemble_all"}
    assert settings({}, defaults) == {"deadline_ms": 50.0}
    assert settings({"deadline_ms": 0.5}, defaults) == {"deadline_ms": 0.5}
    assert settings({"policy": "fallback"}, defaults) == {"on_failure": "ensemble_all"}
    assert settings({"policy": "parallel"}, defaults) == {}


def test_other_parameters_of_the_configuration_are_nothing_to_a_policy() -> None:
    assert settings({"policy": "graph"}, {"bert_weight": "1.0", "target_quantiles": "0 1"}) == {}


@given(st.floats(0, allow_infinity=False), st.sampled_from([float, str, repr]))
def test_a_number_may_be_written_as_a_string(value: float, form) -> None:
    assert settings({"policy": "deadline", "deadline_ms": form(value)}) == {"deadline_ms": value}


@given(st.integers(0, 2**53))
def test_a_number_may_be_whole(value: int) -> None:
    (setting,) = settings({"policy": "deadline", "deadline_ms": value}).values()
    assert setting == value
    assert isinstance(setting, float)


def test_equal_settings_make_equal_choices_however_they_are_written() -> None:
    forms = [0.5, "0.5", "5e-1", " .5 "]
    assert len({choose({"policy": "deadline", "deadline_ms": form}, {}) for form in forms}) == 1
    assert choose({"policy": "deadline", "deadline_ms": 0.25}, {}) not in {choose({"policy": "deadline"}, {})}


@pytest.mark.parametrize("name", ["", "Deadline", "deadline ", "policies", "__init__", "../batch", 3, True])
def test_a_policy_that_there_is_not_is_told_which_there_are(name) -> None:
    with pytest.raises(PolicyError) as caught:
        choose({"policy": name}, {})
    assert str(caught.value) == f"no policy {str(name)!r}; there are {', '.join(NAMES)}"


def test_a_default_that_there_is_not_is_told_too() -> None:
    with pytest.raises(PolicyError, match="no policy 'fastest'"):
        choose({}, {"policy": "fastest"})


@pytest.mark.parametrize(
    ("policy", "given", "takes"),
    [
        ("deadline", "on_failure", "deadline_ms"),
        ("deadline", "stages", "deadline_ms"),
        ("deadline", "batch", "deadline_ms"),
        ("fallback", "deadline_ms", "on_failure"),
        ("parallel", "deadline_ms", "none"),
    ],
)
def test_a_parameter_that_a_policy_does_not_take_is_told_which_it_takes(policy: str, given: str, takes: str) -> None:
    with pytest.raises(PolicyError) as caught:
        choose({"policy": policy, given: 1.0}, {})
    assert str(caught.value) == f"policy {policy} takes no parameter '{given}'; it takes {takes}"


@pytest.mark.parametrize(
    "value", [True, False, "", "much", "0,5", "nan", "inf", "-0.1", "1e999", -1, -0.001, math.nan, math.inf, -math.inf]
)
def test_a_number_that_is_none_is_refused(value) -> None:
    for parameters, defaults in (({"deadline_ms": value}, {}), ({}, {"deadline_ms": value})):
        with pytest.raises(PolicyError) as caught:
            choose({"policy": "deadline"} | parameters, defaults)
        assert str(caught.value) == f"parameter deadline_ms is a number of at least 0, not {value!r}"


@pytest.mark.parametrize("value", ["degrade", "ensemble_all"])
def test_a_word_is_one_of_those_that_there_are(value: str) -> None:
    assert settings({"policy": "fallback", "on_failure": value}) == {"on_failure": value}


@pytest.mark.parametrize("value", ["", "Degrade", "ensemble", 0, 1.5, True])
def test_a_word_that_is_none_of_them_is_refused(value) -> None:
    with pytest.raises(PolicyError) as caught:
        choose({"policy": "fallback", "on_failure": value}, {})
    assert str(caught.value) == f"parameter on_failure is one of degrade, ensemble_all, not {value!r}"
