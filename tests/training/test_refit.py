"""A bundle whose forest is fitted anew, the encoder kept."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from readability_triton.stages.features import extract
from readability_triton.stages.interval import IntervalTable
from readability_triton.training.bundle import FORMAT, Bundle, OutOfFold
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import best_weight, fold_of_rows, out_of_fold_forest
from readability_triton.training.evaluate import has_out_of_fold, predict_out_of_fold
from readability_triton.training.refit import refit
from readability_triton.training.yardsticks.blend_weight import choose_weight
from readability_triton.training.yardsticks.measure import UnknownTextError, measure, score_out_of_fold
from readability_triton.training.yardsticks.openings import SENTENCES, error_by_sentences, opening

pytestmark = pytest.mark.slow


def test_a_refit_by_the_same_rules_changes_nothing(trained, corpus: Corpus, progress) -> None:
    again = refit(trained.bundle, corpus, [], progress, seed=3)
    assert again.forest == trained.bundle.forest
    np.testing.assert_array_equal(again.out_of_fold.cuml, trained.bundle.out_of_fold.cuml)
    np.testing.assert_array_equal(extract(corpus.texts, again.features), extract(corpus.texts, trained.bundle.features))


def test_a_refit_keeps_the_encoder_and_its_scores(trained, corpus: Corpus, progress) -> None:
    again = refit(trained.bundle, corpus, [], progress, seed=4)
    assert again.changes is trained.bundle.changes
    kept = predict_out_of_fold(corpus, trained.bundle).bert
    np.testing.assert_array_equal(predict_out_of_fold(corpus, again).bert, kept)
    assert again.forest != trained.bundle.forest


LEVELLED = "A sentence with a level, which is in no row."


@pytest.fixture
def judged(trained, corpus: Corpus) -> Bundle:
    """The bundle with out-of-fold scores of rows, their openings and a sentence that no row has."""
    openings = [opening(text, n) for text in corpus.texts for n in SENTENCES]
    texts = [*corpus.texts, *openings, LEVELLED]
    rng = np.random.default_rng(0)
    targets = np.append(np.concatenate([corpus.targets, np.repeat(corpus.targets, len(SENTENCES))]), 0)
    bert, cuml = targets + rng.normal(scale=0.3, size=(2, len(texts)))
    return replace(trained.bundle, out_of_fold=OutOfFold.of(texts, bert, cuml))


def test_every_encoders_score_is_kept_and_the_forests_of_openings_are_out_of_fold(
    judged: Bundle, corpus: Corpus, progress
) -> None:
    known = refit(judged, corpus, [], progress, seed=3).out_of_fold
    np.testing.assert_array_equal(known.texts, judged.out_of_fold.texts)
    np.testing.assert_array_equal(known.bert, judged.out_of_fold.bert)
    openings = [opening(text, 2) for text in corpus.texts]
    expected = out_of_fold_forest(corpus, openings, fold_of_rows(corpus, 3), 3, lambda more: None)
    (_, cuml), unknown = known.scores(openings)
    assert not len(unknown)
    np.testing.assert_array_equal(cuml, expected.astype(np.float32))
    assert progress.done == progress.totals


def test_a_text_that_is_in_no_row_has_no_forests_score_and_readers_take_it_as_unknown(
    judged: Bundle, corpus: Corpus, progress
) -> None:
    known = refit(judged, corpus, [], progress, seed=3).out_of_fold
    at, unknown = known.find([LEVELLED])
    assert not len(unknown)
    assert np.isfinite(known.bert[at]).all()
    assert np.isnan(known.cuml).sum() == np.isnan(known.cuml[at]).sum() == 1
    assert known.scores([LEVELLED])[1].tolist() == [0]
    with pytest.raises(UnknownTextError, match="1 of 1 texts"):
        score_out_of_fold(known, [1.0])([LEVELLED])


def test_rows_left_out_of_a_refit_are_unknown_until_the_next_one(judged: Bundle, corpus: Corpus, progress) -> None:
    kept = [row for row, url in enumerate(corpus.urls) if url != corpus.urls[0]]
    some = Corpus([corpus.texts[row] for row in kept], corpus.targets[kept], [corpus.urls[row] for row in kept])
    smaller = refit(judged, some, [], progress, seed=3)
    assert has_out_of_fold(some, smaller)
    assert not has_out_of_fold(corpus, smaller)
    with pytest.raises(ValueError, match=f"{60 - len(kept)} of 60 rows, the first of them row 1, were not"):
        predict_out_of_fold(corpus, smaller)
    assert has_out_of_fold(corpus, refit(smaller, corpus, [], progress, seed=3))


def test_the_blend_weight_is_chosen_by_openings_too_where_all_have_scores(
    judged: Bundle, trained, corpus: Corpus, progress
) -> None:
    yardstick = partial(error_by_sentences, corpus)
    again = refit(judged, corpus, [], progress, seed=3)
    assert len(measure([yardstick], None, score_out_of_fold(again.out_of_fold, [1.0]))) == len(SENTENCES)
    assert again.facts.bert_weight == choose_weight(again.out_of_fold, corpus, [yardstick])
    by_rows = refit(trained.bundle, corpus, [], progress, seed=3)
    assert not measure([yardstick], None, score_out_of_fold(by_rows.out_of_fold, [1.0]))
    best = best_weight(predict_out_of_fold(corpus, by_rows), corpus.targets)
    assert by_rows.facts.bert_weight == pytest.approx(best, abs=0.0101)


def test_intervals_of_another_blend_are_left_out(trained, corpus: Corpus, progress) -> None:
    table = IntervalTable(0.9, 215, [], [[]], [[-1.0]], [[1.0]])
    facts = replace(trained.bundle.facts, bert_weight=0.123, interval=table)
    assert refit(replace(trained.bundle, facts=facts), corpus, [], progress, seed=3).facts.interval is None


def test_a_bundle_of_an_earlier_format_is_refused_with_advice_and_can_be_refitted(
    trained, corpus: Corpus, progress, tmp_path: Path
) -> None:
    trained.bundle.save(tmp_path)
    facts = json.loads((tmp_path / "bundle.json").read_text())
    del facts["format"]  # the first did not say
    (tmp_path / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=f"format is 1, this program reads {FORMAT}.*readability refit --data"):
        Bundle.load(tmp_path)
    assert refit(Bundle.load(tmp_path, oldest=1), corpus, [], progress, seed=3).facts.format == FORMAT


def test_a_bundle_of_a_later_format_is_refused(trained, tmp_path: Path) -> None:
    replace(trained.bundle, facts=replace(trained.bundle.facts, format=FORMAT + 1)).save(tmp_path)
    with pytest.raises(ValueError, match=f"format is {FORMAT + 1}"):
        Bundle.load(tmp_path)
