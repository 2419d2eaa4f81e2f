import hashlib
import lzma
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import treelite
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save

from readability_triton.stages.cefr import LevelLine
from readability_triton.stages.forest import n_outputs
from readability_triton.stages.interval import IntervalTable
from readability_triton.training.base_encoder import DEFAULT_ENCODER, DEFAULT_SHA256
from readability_triton.training.bundle import DEFAULT_BUNDLE, FILES, Bundle, Facts, hash_text, hash_url, quantiles
from readability_triton.training.corpus import Corpus, read_corpus
from readability_triton.training.cross_validation import best_weight
from readability_triton.training.evaluate import predict_out_of_fold
from readability_triton.training.metrics import rmse

pytestmark = pytest.mark.slow

SHARED_CORPUS = Path(__file__).parents[3] / "shared" / "clear" / "train.csv"


@pytest.fixture
def folder(trained, tmp_path: Path) -> Path:
    trained.bundle.save(tmp_path / "new" / "bundle")
    return tmp_path / "new" / "bundle"


def test_a_bundle_is_read_as_it_was_written(trained, folder):
    loaded, written = Bundle.load(folder), trained.bundle
    assert loaded.facts == written.facts
    assert loaded.forest == written.forest
    assert loaded.trained_urls == written.trained_urls
    assert sorted(loaded.changes) == sorted(written.changes)
    for name, change in written.changes.items():
        assert loaded.changes[name].dtype == change.dtype
        np.testing.assert_array_equal(loaded.changes[name], change)
    for kept in ("texts", "bert", "cuml"):
        assert getattr(loaded.out_of_fold, kept).dtype == getattr(written.out_of_fold, kept).dtype
        np.testing.assert_array_equal(getattr(loaded.out_of_fold, kept), getattr(written.out_of_fold, kept))
    assert (loaded.features.frequent, loaded.features.rare) == (written.features.frequent, written.features.rare)
    np.testing.assert_array_equal(loaded.features.mean, written.features.mean)


def test_saving_what_was_loaded_writes_the_same_files(folder, tmp_path):
    Bundle.load(folder).save(tmp_path / "again")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_file_of_an_earlier_version_beside_the_others_is_ignored(trained, folder):
    (folder / "gate.tl.xz").write_bytes(b"a second forest, once")
    assert Bundle.load(folder).forest == trained.bundle.forest


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
        ("bundle.json", b"[]"),
        ("encoder.safetensors.xz", b"not compressed"),
        ("encoder.safetensors.xz", lzma.compress(b"not safetensors")),
        ("encoder.safetensors.xz", lzma.compress(b"cut off")[:-9]),
        ("forest.tl.xz", b"not compressed"),
        ("forest.tl.xz", b""),
        ("features.json", b"[]"),
        ("features.json", b"{}"),
        ("out_of_fold.safetensors", b"cut"),
        ("out_of_fold.safetensors", save({"texts": np.zeros(1, np.uint64)})),
    ],
)
def test_a_malformed_file_is_a_value_error(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{folder} is not a bundle"):
        Bundle.load(folder)


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_url_is_known_by_the_first_eight_bytes_of_its_sha256(url):
    assert hash_url(url).hex() == hashlib.sha256(url.encode()).hexdigest()[:16]


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_text_is_known_by_the_first_eight_bytes_of_its_sha256_as_a_number(text):
    assert f"{hash_text(text):016x}" == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_no_text_and_no_url_is_in_a_bundle(folder, corpus):
    written = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not [text for text in corpus.texts if text[:40].encode() in written]
    assert not [url for url in corpus.urls if url.encode() in written]


def test_what_fine_tuning_changed_takes_about_a_byte_a_weight(trained):
    matrices = [change for change in trained.bundle.changes.values() if change.dtype == np.int8]
    assert len(matrices) > 6
    others = sum(change.nbytes for change in trained.bundle.changes.values() if change.dtype != np.int8)
    assert others < sum(change.nbytes for change in matrices)


def test_interval_and_levels_come_back(trained, tmp_path):
    facts = replace(
        trained.bundle.facts,
        interval=IntervalTable(0.9, 215, [50], [[0.5], []], [[-1.5, -2.0], [-1.0]], [[1.5, 1.0], [1.0]]),
        level_line=LevelLine(2.0, -1.0, 0.5),
    )
    replace(trained.bundle, facts=facts).save(tmp_path)
    assert Bundle.load(tmp_path).facts == facts


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(-5, 5)), st.integers(1, 30))
def test_quantiles_rise_from_the_least_target_to_the_greatest(targets, steps):
    found = quantiles(targets, steps)
    assert len(found) == steps + 1
    assert found == sorted(found)
    assert found[0] == pytest.approx(targets.min(), abs=5.1e-4)
    assert found[-1] == pytest.approx(targets.max(), abs=5.1e-4)


def test_the_quantiles_of_evenly_spaced_targets_are_evenly_spaced():
    assert quantiles(np.arange(101.0)) == [5.0 * step for step in range(21)]


with_clear = pytest.mark.skipif(not SHARED_CORPUS.is_file(), reason="the CLEAR training rows are not on this machine")


@pytest.fixture(scope="module")
def committed() -> Bundle:
    return Bundle.load(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def card() -> str:
    return (DEFAULT_BUNDLE / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clear() -> Corpus:
    return read_corpus(SHARED_CORPUS)


class TestTheCommittedBundle:
    def test_is_at_most_25_mb(self):
        assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.iterdir()) <= 25_000_000

    def test_holds_nothing_but_its_files_and_its_card(self):
        assert {path.name for path in DEFAULT_BUNDLE.iterdir()} == {*FILES, "README.md", "recipe.toml", "figures.jsonl"}

    def test_has_207_features_a_share_for_a_weight_and_10_reference_scores(self, committed):
        assert len(committed.features.mean) == 207
        assert 0 <= committed.facts.bert_weight <= 1
        assert len(committed.facts.reference_scores) == 10
        assert committed.changes["head.weight"].shape == (1, len(committed.facts.layers) * 384)

    def test_has_a_forest_over_all_features_that_gives_one_number(self, committed):
        model = treelite.Model.deserialize_bytes(committed.forest)
        assert (model.num_feature, n_outputs(model)) == (207, 1)

    def test_has_a_model_card_with_its_own_facts_and_the_licence(self, committed, card):
        facts = committed.facts
        assert facts.encoder == DEFAULT_ENCODER
        assert facts.encoder_sha256 == DEFAULT_SHA256
        for promised in (facts.encoder, facts.encoder_sha256, f"| blend | {facts.bert_weight} of", "CC BY-NC-SA 4.0"):
            assert promised in card

    def test_has_a_model_card_that_opens_with_what_made_it(self, committed, card):
        assert committed.facts.made_by != Facts.made_by
        assert card.startswith(f"# Model card\n\nMade by {committed.facts.made_by}.\n")

    @pytest.mark.parametrize("page", ["training/bundles/minilm/README.md", "training/bundles/LICENSES.md", "README.md"])
    def test_carries_the_licences_of_all_that_it_was_trained_on(self, page):
        text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
        assert set(re.findall(r"CC BY[A-Z-]* [34]\.0", text)) == {
            "CC BY-NC-SA 4.0",
            "CC BY-NC 4.0",
            "CC BY-SA 3.0",
        }
        for said in ("CLEAR", "ASSET", "CEFR-SP", "SCoRE", "public domain", "not for commercial use"):
            assert said.lower() in " ".join(text.lower().split())
        assert "readability train-multitask --data mine.csv --bundle my_bundle" in text

    def test_has_a_card_with_the_error_of_its_levels_and_the_share_that_its_intervals_aim_at(self, committed, card):
        assert f"error, in levels (root mean square) | {committed.facts.level_line.error:.2f} |" in card
        assert f"{committed.facts.interval.level:.0%} intervals".replace("%", " %") in card

    def test_has_a_model_card_that_says_where_the_blend_errs(self, card):
        assert "Where the blend errs" in card
        for table in ("| target, from hard to easy | rows | RMSE | bias |", "| kind of text, by where it is from |"):
            assert table in card

    @with_clear
    def test_knows_the_sources_of_the_clear_training_rows_and_no_others(self, committed, clear):
        assert committed.trained_urls == set(map(hash_url, clear.urls))

    @with_clear
    def test_knows_the_out_of_fold_scores_of_every_clear_training_row(self, committed, clear):
        assert set(map(hash_text, clear.texts)) <= set(committed.out_of_fold.texts.tolist())

    @with_clear
    def test_errs_as_its_card_says(self, committed, card, clear):
        scores = predict_out_of_fold(clear, committed)
        weight = committed.facts.bert_weight
        blend = weight * scores.bert + (1 - weight) * scores.cuml
        for name, values in (("encoder", scores.bert), ("forest", scores.cuml), ("blend", blend)):
            assert f"| {name} | {rmse(values, clear.targets):.3f} (" in card

    @with_clear
    def test_has_the_blend_weight_that_its_out_of_fold_scores_call_for(self, committed, clear):
        best = best_weight(predict_out_of_fold(clear, committed), clear.targets)
        assert best == pytest.approx(committed.facts.bert_weight, abs=0.0101)

    @with_clear
    def test_holds_no_excerpt(self, clear):
        text = b"".join(path.read_bytes() for path in DEFAULT_BUNDLE.iterdir()).decode("utf-8", errors="ignore")
        assert not [excerpt for excerpt in clear.texts[::20] if excerpt[:40] in text]
