import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.bundle import DEFAULT_BUNDLE, Bundle, hash_url, quantiles
from training.corpus import read_corpus

SHARED_CORPUS = Path(__file__).parents[3] / "shared" / "clear" / "train.csv"
FILES = ("bundle.json", "head.safetensors", "forest.tl.xz", "features.json", "trained_urls.bin")


@pytest.fixture
def folder(trained, tmp_path: Path) -> Path:
    trained.bundle.save(tmp_path / "new" / "bundle")
    return tmp_path / "new" / "bundle"


def test_a_bundle_is_read_as_it_was_written(trained, folder):
    loaded, written = Bundle.load(folder), trained.bundle
    assert loaded.facts == written.facts
    assert loaded.forest == written.forest
    assert loaded.trained_urls == written.trained_urls
    assert loaded.head.bias == pytest.approx(written.head.bias)
    np.testing.assert_array_equal(loaded.head.weight, written.head.weight)
    assert (loaded.features.frequent, loaded.features.rare) == (written.features.frequent, written.features.rare)
    np.testing.assert_array_equal(loaded.features.mean, written.features.mean)


def test_saving_what_was_loaded_writes_the_same_files(folder, tmp_path):
    Bundle.load(folder).save(tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_an_os_error(folder, name):
    (folder / name).unlink()
    with pytest.raises(OSError, match=name):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bundle.json", b"{"),
        ("bundle.json", b'{"unknown": 1}'),
        ("head.safetensors", b"cut"),
        ("forest.tl.xz", b"not compressed"),
        ("features.json", b"[]"),
        ("features.json", b"{}"),
    ],
)
def test_a_malformed_file_is_a_value_error(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError):
        Bundle.load(folder)


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_url_is_known_by_the_first_eight_bytes_of_its_sha256(url):
    assert hash_url(url).hex() == hashlib.sha256(url.encode()).hexdigest()[:16]


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-5, 5)), st.integers(1, 30))
def test_quantiles_rise_from_the_least_target_to_the_greatest(targets, steps):
    found = quantiles(targets, steps)
    assert len(found) == steps + 1
    assert found == sorted(found)
    assert found[0] == pytest.approx(targets.min(), abs=5.1e-4)
    assert found[-1] == pytest.approx(targets.max(), abs=5.1e-4)


def test_the_quantiles_of_evenly_spaced_targets_are_evenly_spaced():
    assert quantiles(np.arange(101.0)) == [5.0 * step for step in range(21)]


class TestTheCommittedBundle:
    def test_is_at_most_5_mb(self):
        assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.iterdir()) <= 5_000_000

    def test_holds_the_contracts_forest_and_207_features(self):
        bundle = Bundle.load(DEFAULT_BUNDLE)
        assert len(bundle.features.mean) == 207
        assert len(bundle.head.weight) == len(bundle.facts.layers) * 384
        assert 0 <= bundle.facts.bert_weight <= 1
        assert len(bundle.facts.reference_scores) == 10

    def test_has_a_model_card_with_its_own_facts_and_the_licence(self):
        card = (DEFAULT_BUNDLE / "README.md").read_text()
        facts = json.loads((DEFAULT_BUNDLE / "bundle.json").read_text())
        for promised in (facts["encoder"], facts["encoder_sha256"], str(facts["bert_weight"]), "CC BY-NC-SA 4.0"):
            assert promised in card

    @pytest.mark.skipif(not SHARED_CORPUS.is_file(), reason="the CLEAR training rows are not on this machine")
    def test_knows_the_sources_of_the_clear_training_rows_and_no_others(self):
        assert Bundle.load(DEFAULT_BUNDLE).trained_urls == set(map(hash_url, read_corpus(SHARED_CORPUS).urls))

    @pytest.mark.skipif(not SHARED_CORPUS.is_file(), reason="the CLEAR training rows are not on this machine")
    def test_holds_no_excerpt(self):
        text = b"".join(path.read_bytes() for path in DEFAULT_BUNDLE.iterdir()).decode("utf-8", errors="ignore")
        assert not [excerpt for excerpt in read_corpus(SHARED_CORPUS).texts[::20] if excerpt[:40] in text]
