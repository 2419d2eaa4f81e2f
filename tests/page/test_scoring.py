"""Scores on their way to the browser: offsets, bands, policies, errors."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bls.policy import choose, find_policy, policy_names
from readability_triton.client import errors
from readability_triton.page.asked import Asked
from readability_triton.page.bands import BANDS, band_of
from readability_triton.page.failures import STATUS, answer_error
from readability_triton.page.pipelines import PIPELINES
from readability_triton.page.policies import policies_as_json
from readability_triton.page.scoring import score, score_sentences
from tests.page.stand_in import StandIn

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
PROSE = st.lists(st.sampled_from(["A cat sat. ", "Why? ", "“Considerable!” he said. ", "\n\n", "😀 "]), min_size=1)


@given(TEXTS | PROSE.map("".join).filter(str.strip))
def test_passages_and_sentences_are_parts_of_the_text_in_order(text):
    pipelines = StandIn()
    passages = score(pipelines, Asked(text))["passages"]
    sentences = score_sentences(pipelines, Asked(text))["sentences"]
    for parts in (passages, sentences):
        ends = [0]
        for part in parts:
            assert ends[-1] <= part["start"] < part["end"] <= len(text)
            ends.append(part["end"])
    assert sum(part["words"] for part in passages) >= 0


def test_the_pipelines_are_asked_one_after_the_other_in_random_order(monkeypatch):
    monkeypatch.setattr(random, "sample", lambda names, count: [*reversed(names)][:count])
    pipelines = StandIn()
    assert score(pipelines, Asked("A cat."))["order"] == [*reversed(PIPELINES)]
    assert [name for name, *_ in pipelines.asked] == [*reversed(PIPELINES)]


@given(st.floats(0, 100))
def test_every_percentile_is_in_one_band(percentile):
    band = band_of(percentile)
    least = [each.least for each in BANDS] + [100.001]
    assert least[band] <= percentile < least[band + 1]


def test_an_unknown_percentile_is_in_none():
    assert band_of(None) is None


def test_bands_go_from_hard_to_easy():
    assert [band.least for band in BANDS] == sorted(band.least for band in BANDS)
    assert BANDS[0].least == 0


def test_every_policy_is_offered_with_what_it_takes():
    offered = {policy["name"]: policy for policy in policies_as_json()}
    assert sorted(offered) == policy_names()
    for name, policy in offered.items():
        assert policy["description"].endswith(".")
        assert [each["name"] for each in policy["settings"]] == [*find_policy(name).settings]
        choose({"policy": name} | {each["name"]: each["default"] for each in policy["settings"]}, {})
        for setting in policy["settings"]:
            for choice in setting["choices"]:
                choose({"policy": name, setting["name"]: choice}, {})


def _kinds(kind):
    return [kind, *(each for below in kind.__subclasses__() for each in _kinds(below))]


@pytest.mark.parametrize("kind", _kinds(errors.ReadabilityError))
def test_every_error_has_a_status_and_its_words(kind):
    error = kind("it broke")
    error.request_id = "f00"
    response = answer_error(None, error)
    assert response.status_code >= 400
    assert all(word in response.body for word in (b"it broke", b"f00", kind.__name__.encode()))


def test_statuses_say_who_is_at_fault():
    for kind, status in STATUS.items():
        assert (status < 500) == issubclass(kind, errors.InvalidRequestError)
