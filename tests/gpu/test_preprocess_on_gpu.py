"""Tokens by cuDF and features by CuPy: those of the CPU, on every training excerpt and on odd text."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from readability_triton.stages import tokens as reference
from readability_triton.stages.arrays import to_host
from readability_triton.stages.device.preprocess import DevicePreprocess
from readability_triton.stages.features import FeatureSpec, extract

BATCH = 512
ODD = [
    "Café naïve ÅNGSTRÖM cafe\u0301",
    "東京 is 东京, 한국어 too",
    "so 😀 happy 👍🏽",
    "a\x07c\u200bd\ufeff e\u00a0f",
    "q" * 99 + " " + "q" * 100 + " " + "q" * 101 + " " + "q" * 250,
    "the [SEP] token and [CLS] [MASK]",
    "ΛΟΓΟΣ İstanbul ß ſt ½",
    "?!… “Don’t,” she said. e.g. U.S. 3.14",
    "rain " * 600,
]


@pytest.fixture(scope="module")
def left() -> list[int]:
    return []


@pytest.fixture(scope="module")
def device(preprocess_folder: Path, left: list[int]) -> DevicePreprocess:
    return DevicePreprocess.load(preprocess_folder, 0, left.append, host_rows=0)


def assert_right(device: DevicePreprocess, tokenizer: Tokenizer, spec: FeatureSpec, texts: list[str]) -> None:
    made = device.prepare(texts)
    ids, mask = reference.tokenize(texts, tokenizer)
    np.testing.assert_array_equal(to_host(made.ids), ids)
    np.testing.assert_array_equal(to_host(made.mask), mask)
    np.testing.assert_allclose(to_host(made.features), extract(texts, spec), rtol=0, atol=1e-5)


def test_every_excerpt_is_prepared_as_on_the_cpu(device, tokenizer, spec, texts, left) -> None:
    for start in range(0, len(texts), BATCH):
        assert_right(device, tokenizer, spec, texts[start : start + BATCH])
    assert sum(left) < len(texts) / 50, "plain English should hardly ever go to the host"


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_text_is_prepared_as_on_the_cpu(device, tokenizer, spec, text: str) -> None:
    assert_right(device, tokenizer, spec, ["It rained.", text, "It rained."])


def test_every_character_is_prepared_as_on_the_cpu(device, tokenizer, spec) -> None:
    codes = [code for code in range(1, 0x11000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 4096):
        assert_right(
            device, tokenizer, spec, [f"Ab{chr(code)}c. {chr(code)} D" for code in codes[start : start + 4096]]
        )
