"""Both parts together, on NumPy."""

from pathlib import Path

import numpy as np
import pytest

from client.samples import sample_passages
from stages.device.features import DeviceFeatures
from stages.device.preprocess import DevicePreprocess
from stages.device.tokens import DeviceTokenizer
from stages.features import FeatureSpec
from stages.preprocess import FEATURES, TOKENIZER, HostPreprocess, load_preprocess
from stages.tokens import load_tokenizer

PASSAGES = list(sample_passages().values())


@pytest.fixture(scope="module")
def folder(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("preprocess")
    (made / TOKENIZER).write_bytes(tokenizer_file.read_bytes())
    FeatureSpec.fit(PASSAGES).save(made / FEATURES)
    return made


class Nothing:
    """A WordPiece that knows no character: every row is left to the host."""

    def normalize(self, texts):
        return [""] * len(texts)

    def tokenize(self, texts):
        return np.zeros(0, np.int32), np.zeros(len(texts), np.int32)


def test_the_device_gives_what_the_host_gives(folder: Path) -> None:
    tokenizer = DeviceTokenizer(load_tokenizer(folder / TOKENIZER), Nothing(), np)
    device = DevicePreprocess(tokenizer, DeviceFeatures(FeatureSpec.load(folder / FEATURES), np))
    for made, right in zip(device.prepare(PASSAGES), HostPreprocess(folder).prepare(PASSAGES), strict=True):
        assert made.dtype == right.dtype
        np.testing.assert_array_equal(made, right)


def test_without_a_gpu_it_is_the_host(folder: Path) -> None:
    assert isinstance(load_preprocess(folder), HostPreprocess)


def test_rows_are_cut_from_all_three(folder: Path) -> None:
    made = HostPreprocess(folder).prepare(PASSAGES)
    for part, whole in zip(made.rows(2, 5), made, strict=True):
        np.testing.assert_array_equal(part, whole[2:5])
