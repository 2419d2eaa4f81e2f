import numpy as np
import pytest

from stages.encoder import PooledEncoder
from stages.features import FeatureSpec, extract
from stages.forest import load_forest, predict
from training import forest
from training.bundle import hash_url
from training.cross_validation import ALPHAS, best_alpha, best_weight, out_of_fold_head
from training.head import embed
from training.train import train


@pytest.fixture
def small_forests(monkeypatch):
    monkeypatch.setattr(forest, "N_TREES", 3)


def test_the_facts_are_those_of_the_encoder_and_the_corpus(trained, tiny, corpus):
    facts = trained.bundle.facts
    assert (facts.encoder, facts.encoder_sha256) == (tiny.name, tiny.sha256)
    assert facts.layers == [1, 2]
    assert facts.quantiles == np.quantile(corpus.targets, np.arange(21) / 20).round(3).tolist()
    assert trained.bundle.trained_urls == set(map(hash_url, corpus.urls))


def test_the_blend_weight_and_the_penalty_are_chosen_on_the_out_of_fold_scores(trained, tiny, corpus):
    assert trained.bundle.facts.bert_weight == best_weight(trained.out_of_fold, corpus.targets)
    means = embed(PooledEncoder(tiny.bert, (1, 2)).eval(), tiny.tokenizer, corpus.texts, lambda more: None)
    assert trained.alpha == best_alpha(corpus, means, seed=3)
    assert trained.alpha in ALPHAS
    np.testing.assert_array_equal(trained.out_of_fold.bert, out_of_fold_head(corpus, means, trained.alpha, 3))


def test_the_reference_scores_are_those_of_head_and_forest(trained, tiny, reference_texts, tmp_path):
    bundle = trained.bundle
    (tmp_path / "forest.tl").write_bytes(bundle.forest)
    pooled = PooledEncoder(tiny.bert, tuple(bundle.facts.layers)).eval()
    bert = bundle.head.predict(embed(pooled, tiny.tokenizer, reference_texts, lambda more: None))
    cuml = predict(load_forest(tmp_path / "forest.tl"), extract(reference_texts, bundle.features))[:, 0]
    np.testing.assert_allclose(bundle.facts.reference_scores, np.column_stack([bert, cuml]), atol=1e-4)


def test_the_features_are_fitted_on_all_rows(trained, corpus):
    assert trained.bundle.features.frequent == FeatureSpec.fit(corpus.texts).frequent


def test_the_forest_learns_what_makes_the_made_up_texts_hard(trained, corpus, tmp_path):
    (tmp_path / "forest.tl").write_bytes(trained.bundle.forest)
    scores = predict(load_forest(tmp_path / "forest.tl"), extract(corpus.texts, trained.bundle.features))[:, 0]
    assert np.square(scores - corpus.targets).mean() < 0.5 * corpus.targets.var()


@pytest.mark.usefixtures("small_forests")
def test_the_same_seed_trains_the_same_bundle_and_another_seed_another(corpus, tiny, progress):
    first, again, other = (train(corpus, tiny, (2,), [], progress, seed) for seed in (1, 1, 2))
    assert first.bundle.facts == again.bundle.facts
    assert first.bundle.forest == again.bundle.forest
    np.testing.assert_array_equal(first.bundle.head.weight, again.bundle.head.weight)
    np.testing.assert_array_equal(first.out_of_fold, again.out_of_fold)
    assert (first.out_of_fold.bert != other.out_of_fold.bert).any()
    assert first.bundle.forest != other.bundle.forest


@pytest.mark.usefixtures("small_forests")
def test_what_is_announced_is_done(corpus, tiny, reference_texts, progress):
    train(corpus, tiny, (1, 3), reference_texts, progress)
    assert progress.totals == progress.done
    assert sorted(progress.totals.values()) == [60, 63]


@pytest.mark.parametrize("layers", [(4,), (1, 9), (-1,)])
def test_layers_that_the_encoder_lacks_are_refused(corpus, tiny, progress, layers):
    with pytest.raises(ValueError, match="are not among 0 to 3"):
        train(corpus, tiny, layers, [], progress)
