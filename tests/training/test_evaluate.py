from dataclasses import replace

import numpy as np
import pytest

from stages.pipeline import InProcessPipeline
from training import metrics
from training.cross_validation import Predictions
from training.evaluate import predict_as_built, predict_out_of_fold, scorer_metrics, was_trained_on
from training.metrics import rmse


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
    with progress("scoring", len(corpus.texts)) as advance:
        found = predict_as_built(corpus, pipeline, advance)
    np.testing.assert_allclose(found.bert, pipeline.bert(corpus.texts)[:, 0], atol=1e-5)
    np.testing.assert_array_equal(found.cuml, pipeline.cuml(corpus.texts)[:, 0])
    assert progress.done == progress.totals
    assert rmse(found.cuml, corpus.targets) < rmse(trained.out_of_fold.cuml, corpus.targets)


def test_out_of_fold_scores_are_those_that_training_reports(trained, tiny, corpus, progress):
    again = predict_out_of_fold(corpus, tiny, trained.bundle.facts.layers, progress, seed=3)
    np.testing.assert_array_equal(again.bert, trained.out_of_fold.bert)
    np.testing.assert_array_equal(again.cuml, trained.out_of_fold.cuml)
    assert progress.done == progress.totals


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
