"""Both parts together, on NumPy and on a stand-in for CuPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.stages.arrays import to_host
from readability_triton.stages.device.features import DeviceFeatures
from readability_triton.stages.device.preprocess import DevicePreprocess
from readability_triton.stages.device.tokens import DeviceTokenizer
from readability_triton.stages.features import FeatureSpec
from readability_triton.stages.prepared import FEATURES, TOKENIZER
from readability_triton.stages.preprocess import HostPreprocess
from readability_triton.stages.tokens import load_tokenizer

PASSAGES = list(sample_passages().values())


@pytest.fixture(scope="module")
def folder(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("preprocess")
    (made / TOKENIZER).write_bytes(tokenizer_file.read_bytes())
    FeatureSpec.fit(PASSAGES).save(made / FEATURES)
    return made


class Nothing:
    """A WordPiece that knows no character: every row is left to the host."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def normalize(self, texts):
        return [""] * len(texts)

    def tokenize(self, texts):
        return self._xp.zeros(0, np.int32), self._xp.zeros(len(texts), np.int32)


def test_the_device_gives_what_the_host_gives(folder: Path, xp: Any) -> None:
    tokenizer = DeviceTokenizer(load_tokenizer(folder / TOKENIZER), Nothing(xp), xp)
    features = DeviceFeatures(FeatureSpec.load(folder / FEATURES), xp)
    device = DevicePreprocess(tokenizer, features, HostPreprocess(folder), host_rows=0)
    for made, right in zip(device.prepare(PASSAGES), HostPreprocess(folder).prepare(PASSAGES), strict=True):
        assert made.dtype == right.dtype
        np.testing.assert_array_equal(to_host(made), right)


def test_a_small_batch_is_prepared_on_the_host_and_a_larger_one_on_the_device(folder: Path) -> None:
    on_device: list[int] = []

    class Counting(DeviceFeatures):
        def extract(self, texts):
            on_device.append(len(texts))
            return super().extract(texts)

    tokenizer = DeviceTokenizer(load_tokenizer(folder / TOKENIZER), Nothing(np), np)
    device = DevicePreprocess(
        tokenizer, Counting(FeatureSpec.load(folder / FEATURES), np), HostPreprocess(folder), host_rows=3
    )
    for n_rows in (1, 3, 4):
        for made, right in zip(
            device.prepare(PASSAGES[:n_rows]), HostPreprocess(folder).prepare(PASSAGES[:n_rows]), strict=True
        ):
            np.testing.assert_array_equal(made, right)
    assert on_device == [4]


def test_rows_are_cut_from_all_three(folder: Path) -> None:
    made = HostPreprocess(folder).prepare(PASSAGES)
    for part, whole in zip(made.rows(2, 5), made, strict=True):
        np.testing.assert_array_equal(part, whole[2:5])


@pytest.mark.parametrize("room", [0, 60, 400, 10_000])
def test_a_batch_that_does_not_fit_the_devices_memory_is_prepared_in_parts(folder: Path, room: int) -> None:
    reported: list[int] = []

    class Small(DeviceFeatures):
        """Has memory for so many characters."""

        def extract(self, texts):
            if sum(map(len, texts)) > room:
                raise MemoryError
            return super().extract(texts)

    tokenizer = DeviceTokenizer(load_tokenizer(folder / TOKENIZER), Nothing(np), np)
    features = Small(FeatureSpec.load(folder / FEATURES), np)
    texts = ["Rain.", *PASSAGES[:4], "Sun and snow, and then the rain again."]
    device = DevicePreprocess(tokenizer, features, HostPreprocess(folder), reported.append, host_rows=0)
    prepared = device.prepare(texts)
    for made, right in zip(prepared, HostPreprocess(folder).prepare(texts), strict=True):
        assert made.dtype == right.dtype
        np.testing.assert_array_equal(made, right)
    assert sum(reported) == sum(len(text) > room for text in texts)
