"""The device's array code, run on NumPy and on a stand-in for CuPy, against the reference: every number equal."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from readability_triton.cli.samples import sample_passages
from readability_triton.stages.arrays import to_host
from readability_triton.stages.device.features import DeviceFeatures
from readability_triton.stages.features import FeatureSpec, extract, raw_features

pytestmark = pytest.mark.slow

PASSAGES = list(sample_passages().values())
SPEC = FeatureSpec.fit([*PASSAGES, "forêt 東京 don't ſt κόσμος"])
CLEAR = Path(__file__).parents[4] / "shared" / "clear" / "train.csv"

MARKS = "aB'’.!?… \n\t\"”»)]1é_ſKıİΣςσ,-—“eEgGiImMsStTrR...   "
PIECES = (
    "Mr.",
    "e.g.",
    "a.m.",
    "U.S.",
    "J.",
    "Approx.",
    "messrs.",
    "xmr.",
    "Dr.)",
    "etc...",
    "“No!”",
    "he",
    "He",
    "9.",
)
writing = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from(MARKS), max_size=60),
    st.lists(st.sampled_from([*PIECES, "o’clock", "rock'n'roll", "''", "co.", "ſt.", "ÉST.", "_st."])).map(" ".join),
    st.sampled_from(PASSAGES),
)


@pytest.fixture(scope="module")
def device(xp: Any) -> DeviceFeatures:
    return DeviceFeatures(SPEC, xp)


def assert_right(device: DeviceFeatures, texts: list[str]) -> None:
    np.testing.assert_array_equal(to_host(device.raw(texts)), raw_features(texts, SPEC))


@given(st.lists(writing, max_size=6))
@example([""])
@example(["?", "…"])
@example(["", "a", ""])
@example(["Who? ", " me."])
@example(["mr", ".", "J", ". "])
def test_any_texts_have_the_features_of_the_reference(device: DeviceFeatures, texts: list[str]) -> None:
    assert_right(device, texts)


def test_every_character_is_in_the_class_that_the_rules_say(device: DeviceFeatures) -> None:
    """Each between two words, with an end before it and white space around it."""
    texts = [f"Ab{chr(code)}c. {chr(code)} d.{chr(code)} E" for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(texts), 8192):
        assert_right(device, texts[start : start + 8192])


def test_normalised_features_are_those_of_the_reference_to_the_last_bit(device: DeviceFeatures) -> None:
    features = device.extract(PASSAGES)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(to_host(features), extract(PASSAGES, SPEC))


def test_a_very_long_word_is_one_word(device: DeviceFeatures) -> None:
    assert_right(device, ["x" * 10_000, f"{'x' * 10_000} {'x' * 9_999}y {'x' * 10_000}"])


@pytest.mark.skipif(not CLEAR.exists(), reason="the training data is not here")
def test_every_training_excerpt_has_the_features_of_the_reference(device: DeviceFeatures) -> None:
    with CLEAR.open(encoding="utf-8", newline="") as file:
        texts = [row["excerpt"] for row in csv.DictReader(file)]
    for start in range(0, len(texts), 512):
        assert_right(device, texts[start : start + 512])
