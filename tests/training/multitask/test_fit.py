import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from readability_triton.stages.encoder import predict
from readability_triton.stages.tokens import tokenize
from readability_triton.training.assemble import pooled_encoder
from readability_triton.training.metrics import rmse, spearman
from readability_triton.training.multitask.compose import Kind
from readability_triton.training.multitask.fit import StackedFit
from readability_triton.training.multitask.labels import targets_for
from readability_triton.training.multitask.recipe import BatchSizes, LossWeights, MultitaskRecipe
from readability_triton.training.multitask.tasks import tasks

pytestmark = pytest.mark.slow

RECIPE = MultitaskRecipe(
    steps=150,
    learning_rate=1e-3,
    averaging=0.8,
    weights=LossWeights(levels=1.0),
    ridge_penalty=10.0,
    sizes=BatchSizes(rows=6, runs=4, prose=2, prose_runs=2, levelled=6, levelled_runs=3, pairs=3),
)


def start(stacked, store, texts, recipe, left_out):
    """A fit before its first step, its passes and its targets."""
    fit = StackedFit(stacked, store, recipe, [0] * len(left_out))
    rows = texts.of(Kind.ROW)
    fit.start_from_ridge(
        fit.pretrained_means(rows), texts.target[rows], [~np.isin(texts.fold[rows], folds) for folds in left_out]
    )
    targets = targets_for(None, texts, [folds[0] for folds in left_out], 0.0)
    return fit, tasks(texts, targets, left_out, recipe, 5), targets


def ran(stacked, store, texts, recipe=RECIPE, left_out=((0,), (1,)), checkpoint=None):
    fit, passes, targets = start(stacked, store, texts, recipe, left_out)
    done = []
    fit.run(passes, targets, texts.level, done.append, checkpoint, 4)
    assert sum(done) == recipe.steps
    return fit


@pytest.fixture(scope="module")
def fitted(stacked, store, texts):
    return ran(stacked, store, texts)


def test_a_fit_learns_scores_levels_and_their_line(fitted, texts):
    everything = np.arange(len(texts.kind))
    scores = fitted.predict([everything, everything])
    rows = texts.of(Kind.ROW, without_fold=[0])
    assert rmse(scores[0, rows], texts.target[rows]) < 0.9 * texts.target[rows].std()
    levelled = texts.of(Kind.LEVELLED, without_fold=[0])
    assert spearman(scores[0, levelled], texts.level[levelled]) < -0.3
    assert fitted.head.computed["level.slope"].max() < 0


def test_a_pool_decides_what_is_scored_and_padding_changes_nothing(fitted, texts):
    everything = np.arange(len(texts.kind))
    some = everything[3::7]
    all_scores, part = fitted.predict([everything, everything]), fitted.predict([some, everything[:0]])
    np.testing.assert_allclose(part[0, some], all_scores[0, some], atol=1e-4)
    assert np.isnan(np.delete(part[0], some)).all()
    assert np.isnan(part[1]).all()


def test_models_side_by_side_learn_as_they_would_alone(stacked, store, texts):
    """Twice the same folds and seeds in one row, but other orders: both learn, neither as the other."""
    recipe = replace(RECIPE, steps=12)
    both = ran(stacked, store, texts, recipe, left_out=((0,), (0,)))
    assert not torch.equal(both.layers.exact[0], both.layers.exact[1])
    again = ran(stacked, store, texts, recipe, left_out=((0,), (0,)))
    torch.testing.assert_close(both.layers.exact, again.layers.exact)


def test_a_fit_that_was_stopped_goes_on_as_if_it_had_not(stacked, store, texts, tmp_path):
    recipe = replace(RECIPE, steps=10)
    whole = ran(stacked, store, texts, recipe)
    path = tmp_path / "fit.pt"

    class Stopped(Exception):  # noqa: N818
        pass

    fit, passes, targets = start(stacked, store, texts, recipe, ((0,), (1,)))
    done = []

    def stop(more):
        done.append(more)
        if sum(done) == 7:
            raise Stopped

    with pytest.raises(Stopped):
        fit.run(passes, targets, texts.level, stop, path, 4)
    gone_on = ran(stacked, store, texts, recipe, checkpoint=path)
    torch.testing.assert_close(gone_on.layers.exact, whole.layers.exact)
    torch.testing.assert_close(gone_on.head.average, whole.head.average)


def test_the_linear_layer_starts_from_a_ridge_regression_on_what_may_be_seen(stacked, store, texts):
    fit = StackedFit(stacked, store, RECIPE, (0, 1))
    rows = texts.of(Kind.ROW)
    seen = [texts.fold[rows] != 0, np.arange(len(rows)) < 2]
    fit.start_from_ridge(fit.pretrained_means(rows), texts.target[rows], seen)
    scores = fit.predict([rows, rows])[:, rows]
    assert rmse(scores[0, seen[0]], texts.target[rows][seen[0]]) < texts.target[rows].std()
    assert not np.allclose(scores[0], scores[1])


def test_the_served_encoder_gives_the_fits_scores(fitted, texts, tiny, corpus):
    encoder = copy.deepcopy(pooled_encoder(tiny, (2, 3), counts=True)).eval()
    missing = encoder.load_state_dict(fitted.pooled_encoder_weights(1), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith(("embeddings.", "layers.0.")) for name in missing.missing_keys)
    some = texts.of(Kind.ROW)[:10]
    ids, mask = (each[:, :64] for each in tokenize(corpus.texts[:10], tiny.tokenizer))  # padding cut off
    served = predict(encoder, ids, mask)[:, 0]
    np.testing.assert_allclose(served, fitted.predict([some, some])[1, some], atol=1e-4)


def test_one_models_overflow_costs_it_a_step_and_no_other_model_anything(stacked, store, texts):
    recipe = replace(RECIPE, steps=1)
    usual = ran(stacked, store, texts, recipe)
    fit, passes, targets = start(stacked, store, texts, recipe, ((0,), (1,)))
    with torch.no_grad():
        fit.head.view("head.bias", fit.head.exact)[1] = torch.inf
    fit.head.compute_with(fit.head.exact)
    fit.run(passes, targets, texts.level, lambda _: None)
    torch.testing.assert_close(fit.layers.exact[0], usual.layers.exact[0])
    assert torch.isfinite(fit.layers.exact[1]).all()


def test_the_rate_rises_and_falls():
    recipe = MultitaskRecipe(steps=100, warm_up=0.1)
    rates = [recipe.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == 0.0
