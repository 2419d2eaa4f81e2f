"""The 207 columns mean what the contract says, counted here in another way."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from readability_triton.stages.features import COUNTS, N_FEATURES, FeatureSpec, extract, raw_features

Sentence = list[str]
Draft = list[Sentence]
"""An excerpt before it is written out; its counts are known without reading it."""

quick = settings(deadline=None, max_examples=60)


def draft(seed: int, vocabulary: int) -> Draft:
    """Some sentences of words `w0`, `w1` and so on, low numbers more often."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 12, size=random.integers(2, 9))
    return [[f"w{int(vocabulary * share**2)}" for share in random.random(length)] for length in lengths]


def written(sentences: Draft) -> str:
    """Each sentence with a capital, a comma after its first word and a full stop."""
    return " ".join(f"{first.title()}, {' '.join(rest)}." for first, *rest in sentences)


def ranked(frequency: Counter[str], sign: int) -> list[str]:
    return sorted(sorted(frequency), key=lambda word: sign * frequency[word])


def counted(sentences: Draft, stop_words: set[str], vocabulary: list[str]) -> list[float]:
    """The truth: the 207 raw features of one excerpt."""
    words = [word for sentence in sentences for word in sentence]
    stops = [word for word in words if word in stop_words]
    counts = [len(words), len(set(words)), 2 * len(sentences), len(sentences), len(words) / len(sentences)]
    shares = [words.count(word) / len(words) for word in vocabulary]
    return [*counts, len(stops), len(stops) / len(sentences), *shares]


CORPUS = [draft(seed, 300) for seed in range(60)]
FREQUENCY = Counter(word for sentences in CORPUS for sentence in sentences for word in sentence)
FREQUENT, RARE = ranked(FREQUENCY, -1)[:100], ranked(FREQUENCY, 1)[:100]
SPEC = FeatureSpec.fit([written(sentences) for sentences in CORPUS])


def truth(drafts: list[Draft]) -> NDArray[np.float64]:
    stop_words = set(ranked(FREQUENCY, -1)[:1000])
    return np.array([counted(sentences, stop_words, FREQUENT + RARE) for sentences in drafts])


def test_there_are_207() -> None:
    assert N_FEATURES == 207
    assert raw_features(["It rained."], SPEC).shape == (1, 207)


def test_the_seven_counts_come_first_and_in_order() -> None:
    spec = FeatureSpec(frozenset({"the", "on"}), ("the",) * 100, ("mat",) * 100, np.zeros(207), np.ones(207))
    row = raw_features(["The cat sat on the mat. Who knew?"], spec)[0]
    assert row[:7].tolist() == [8, 7, 2, 2, 4.0, 3, 1.5]


def test_every_column_is_as_counted_by_hand() -> None:
    drafts = [draft(seed, 400) for seed in range(100, 110)]
    np.testing.assert_allclose(raw_features(list(map(written, drafts)), SPEC), truth(drafts), rtol=1e-12)


def test_words_outside_the_corpus_count_only_as_words() -> None:
    row = raw_features(["Unseen words here"], SPEC)[0]
    assert row.tolist() == [3, 3, 0, 1, 3, 0, 0, *[0] * 200]


def test_the_vocabulary_is_the_most_and_the_least_frequent_words() -> None:
    assert list(SPEC.frequent) == FREQUENT
    assert list(SPEC.rare) == RARE


def test_ties_are_broken_alphabetically() -> None:
    words = [f"w{number:03}" for number in range(250)]
    spec = FeatureSpec.fit([" ".join(reversed(words)), " ".join(words)])
    assert spec.frequent == spec.rare == tuple(words[:100])


def test_frequency_goes_before_the_alphabet() -> None:
    words = [f"w{number:03}" for number in range(150)]
    spec = FeatureSpec.fit([" ".join(words), "w149 w149 w140", " ".join(words[10:])])
    assert spec.frequent[:3] == ("w149", "w140", "w010")
    assert spec.rare[:11] == (*words[:10], "w010")


def test_a_word_that_is_both_frequent_and_rare_fills_both_columns() -> None:
    words = [f"w{number:03}" for number in range(100)]
    spec = FeatureSpec.fit([" ".join(words)])
    row = raw_features(["w007 w007 other w003"], spec)[0]
    assert np.flatnonzero(row[7:]).tolist() == [3, 7, 103, 107]
    assert row[[7 + 3, 7 + 7, 7 + 103, 7 + 107]].tolist() == [0.25, 0.5, 0.25, 0.5]


def test_stop_words_are_the_thousand_most_frequent() -> None:
    words = [f"w{number:04}" for number in range(1100)]
    spec = FeatureSpec.fit([" ".join(words), " ".join(words[200:])])
    assert spec.stop_words == set(words[200:]) | set(words[:100])


def test_words_are_counted_whatever_their_case() -> None:
    spec = FeatureSpec.fit([" ".join(f"w{number:03}" for number in range(100)) + " Rain RAIN rain"])
    assert spec.frequent[0] == "rain"


def test_the_corpus_has_mean_nought_and_deviation_one() -> None:
    features = extract(list(map(written, CORPUS)), SPEC)
    varies = truth(CORPUS).std(axis=0) > 1e-12
    assert varies.sum() > 150
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), varies, atol=1e-5)


def test_normalisation_takes_the_mean_and_divides_by_the_deviation() -> None:
    drafts = [draft(seed, 300) for seed in range(200, 205)]
    corpus = truth(CORPUS)
    expected = (truth(drafts) - corpus.mean(axis=0)) / np.where(corpus.std(axis=0) > 0, corpus.std(axis=0), 1)
    features = extract(list(map(written, drafts)), SPEC)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_words", [50, 40, 44])
def test_a_constant_feature_keeps_its_scale(n_words: int) -> None:
    """Shares such as 1/40 too, of which the rounded deviation over three texts is not quite nought."""
    texts = [" ".join(["rain", *(f"w{number}x{row}" for number in range(1, n_words))]) for row in range(3)]
    spec = FeatureSpec.fit(texts)
    assert spec.frequent[0] == "rain"
    assert spec.std[len(COUNTS)] == 1


@pytest.mark.parametrize("text", ["?!", "…", "🎉", "_", "", "\u200b"])
def test_a_text_without_words_has_finite_features(text: str) -> None:
    assert np.isfinite(extract([text], SPEC)).all()
    raw = raw_features([text], SPEC)[0]
    assert raw[[0, 1, 4, 5, 6]].tolist() == [0] * 5
    assert not raw[7:].any()


def test_no_texts_have_no_rows() -> None:
    assert extract([], SPEC).shape == (0, 207)


@quick
@given(st.lists(st.one_of(st.text(max_size=30), st.integers(0, 99).map(lambda seed: written(draft(seed, 300))))))
def test_a_row_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    batch = extract(texts, SPEC)
    assert [row.tobytes() for row in batch] == [extract([text], SPEC).tobytes() for text in texts]


@quick
@given(st.text(max_size=60))
def test_every_text_has_finite_features(text: str) -> None:
    assert np.isfinite(extract([text], SPEC)).all()


@quick
@given(st.integers(0, 10_000))
def test_shares_of_the_frequent_words_are_shares(seed: int) -> None:
    shares = raw_features([written(draft(seed, 300))], SPEC)[0, 7:107]
    assert (shares >= 0).all()
    assert shares.sum() <= 1 + 1e-12


def test_a_spec_comes_back_from_its_file_exactly(tmp_path: Path) -> None:
    SPEC.save(tmp_path / "features.json")
    loaded = FeatureSpec.load(tmp_path / "features.json")
    assert (loaded.stop_words, loaded.frequent, loaded.rare) == (SPEC.stop_words, SPEC.frequent, SPEC.rare)
    assert loaded.mean.tobytes() == SPEC.mean.tobytes()
    assert loaded.std.tobytes() == SPEC.std.tobytes()


def test_a_spec_is_written_the_same_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    SPEC.save(first)
    FeatureSpec.load(first).save(second)
    assert first.read_bytes() == second.read_bytes()


def test_a_spec_of_accented_words_is_readable(tmp_path: Path) -> None:
    spec = FeatureSpec.fit(["forêt 東京 " + " ".join(f"w{number}" for number in range(98))])
    spec.save(tmp_path / "features.json")
    assert '"forêt"' in (tmp_path / "features.json").read_text(encoding="utf-8")
    assert {"forêt", "東京"} <= FeatureSpec.load(tmp_path / "features.json").stop_words


@pytest.mark.parametrize("n_words", [0, 99])
def test_a_corpus_of_too_few_words_is_refused(n_words: int) -> None:
    with pytest.raises(ValueError, match=f"the corpus has {n_words} distinct words, 100 are needed"):
        FeatureSpec.fit([" ".join(f"w{number}" for number in range(n_words))])


def test_no_corpus_is_refused() -> None:
    with pytest.raises(ValueError, match="the corpus has 0 distinct words"):
        FeatureSpec.fit([])


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FeatureSpec.load(tmp_path / "features.json")


def test_a_file_that_is_not_json_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "features.json"
    path.write_text('{"stop_words": [')
    with pytest.raises(ValueError, match="line 1"):
        FeatureSpec.load(path)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    SPEC.save(tmp_path / "features.json")
    return tmp_path / "features.json"


@pytest.mark.parametrize("field", ["stop_words", "frequent", "rare", "mean", "std"])
def test_a_missing_field_is_a_key_error(saved: Path, field: str) -> None:
    fields = json.loads(saved.read_text())
    saved.write_text(json.dumps({key: value for key, value in fields.items() if key != field}))
    with pytest.raises(KeyError, match=field):
        FeatureSpec.load(saved)


@pytest.mark.parametrize("field", ["frequent", "rare", "mean", "std"])
def test_a_wrong_length_is_a_value_error_that_names_the_file(saved: Path, field: str) -> None:
    fields = json.loads(saved.read_text())
    saved.write_text(json.dumps(fields | {field: fields[field][:-1]}))
    with pytest.raises(ValueError, match=r"features\.json: expected 100 \+ 100 words and 207 means"):
        FeatureSpec.load(saved)
