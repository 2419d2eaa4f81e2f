from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training import metrics
from readability_triton.training.bundle import OutOfFold
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import Predictions
from readability_triton.training.evaluate import predict_as_built, predict_out_of_fold, scorer_metrics, was_trained_on
from readability_triton.training.metrics import rmse

pytestmark = pytest.mark.slow


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(metrics, "N_RESAMPLES", 50)


@pytest.mark.parametrize(
    ("urls", "known"),
    [
        (["https://example.org/0", "https://example.org/1", "https://example.org/0"], 3),
        (["https://example.org/0", "https://example.org/new", "https://example.org/00"], 1),
        (["", "https://example.org", "HTTPS://example.org/0"], 0),
    ],
)
def test_rows_of_sources_trained_on_are_counted(trained, corpus, urls, known):
    assert was_trained_on(replace(corpus, urls=urls), trained.bundle) == known


@pytest.mark.usefixtures("few_resamples")
def test_scores_as_built_are_the_pipelines_and_flatter_on_rows_trained_on(trained, corpus, built, progress):
    pipeline = InProcessPipeline(built)
    with progress("scoring", len(corpus.texts)) as on_progress:
        found = predict_as_built(corpus.texts, pipeline, on_progress)
    np.testing.assert_allclose(found.bert, pipeline.bert(corpus.texts)[:, 0], atol=1e-5)
    np.testing.assert_array_equal(found.cuml, pipeline.cuml(corpus.texts)[:, 0])
    assert progress.done == progress.totals
    assert rmse(found.cuml, corpus.targets) < rmse(trained.out_of_fold.cuml, corpus.targets)


def test_out_of_fold_scores_are_those_that_training_reports(trained, corpus):
    found = predict_out_of_fold(corpus, trained.bundle)
    np.testing.assert_allclose(found.bert, trained.out_of_fold.bert, rtol=1e-6)
    np.testing.assert_allclose(found.cuml, trained.out_of_fold.cuml, rtol=1e-6)
    assert found.bert.dtype == found.cuml.dtype == np.float64


@given(st.permutations(range(60)), st.integers(1, 60))
def test_out_of_fold_scores_stand_in_the_order_of_the_rows_asked_about(trained, corpus, order, count):
    rows = order[:count]
    asked = Corpus([corpus.texts[row] for row in rows], corpus.targets[rows], [corpus.urls[row] for row in rows])
    found, all_rows = predict_out_of_fold(asked, trained.bundle), predict_out_of_fold(corpus, trained.bundle)
    np.testing.assert_array_equal(found.bert, all_rows.bert[rows])
    np.testing.assert_array_equal(found.cuml, all_rows.cuml[rows])


def with_texts(corpus: Corpus, **texts: str) -> Corpus:
    changed = list(corpus.texts)
    for row, text in texts.items():
        changed[int(row.removeprefix("row_"))] = text
    return replace(corpus, texts=changed)


@pytest.mark.parametrize(
    ("texts", "reported"),
    [
        ({"row_7": "A text that no one trained on."}, "1 of 60 rows, the first of them row 8,"),
        ({"row_59": "", "row_0": "Another."}, "2 of 60 rows, the first of them row 1,"),
    ],
)
def test_a_row_that_was_not_trained_on_is_refused_with_its_number(trained, corpus, texts, reported):
    with pytest.raises(ValueError, match=f"{reported} were not trained on"):
        predict_out_of_fold(with_texts(corpus, **texts), trained.bundle)


def test_a_text_that_was_trained_on_with_one_letter_changed_is_another_text(trained, corpus):
    with pytest.raises(ValueError, match="1 of 60 rows"):
        predict_out_of_fold(with_texts(corpus, row_3=corpus.texts[3].lower()), trained.bundle)


def test_a_bundle_that_kept_no_scores_knows_no_row(trained, corpus):
    none = OutOfFold(np.empty(0, np.uint64), np.empty(0, np.float32), np.empty(0, np.float32))
    with pytest.raises(ValueError, match="60 of 60 rows, the first of them row 1,"):
        predict_out_of_fold(corpus, replace(trained.bundle, out_of_fold=none))


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_blend_is_measured_at_the_weight_asked_for(corpus, weight):
    rng = np.random.default_rng(0)
    bert, cuml = corpus.targets + rng.normal(size=60), corpus.targets + rng.normal(size=60)
    measured = scorer_metrics(Predictions(bert, cuml), corpus, weight)
    assert list(measured) == ["encoder", "forest", "blend"]
    assert measured["encoder"].rmse.value == rmse(bert, corpus.targets)
    assert measured["forest"].rmse.value == rmse(cuml, corpus.targets)
    assert measured["blend"].rmse.value == pytest.approx(rmse(weight * bert + (1 - weight) * cuml, corpus.targets))
