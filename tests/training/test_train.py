"""Train on the small corpus as it is, on one that the tiny encoder can learn from, and with a teacher."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import treelite
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from readability_triton.stages import encoder
from readability_triton.stages.encoder import PooledEncoder
from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict
from readability_triton.training import forest
from readability_triton.training.assemble import assemble, base_weights
from readability_triton.training.base_encoder import load_base_encoder
from readability_triton.training.bundle import hash_text, hash_url
from readability_triton.training.changes import pack
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import (
    best_epoch,
    best_weight,
    fold_of_rows,
    folds,
    out_of_fold_forest,
)
from readability_triton.training.fine_tuning import FineTuning
from readability_triton.training.halves import with_halves
from readability_triton.training.head import Head
from readability_triton.training.lower_states import LowerStates, compute_lower_states
from readability_triton.training.metrics import rmse
from readability_triton.training.recipe import Recipe
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.teacher import load_teacher, teacher_means
from readability_triton.training.train import Trained, mean_weights, train

pytestmark = pytest.mark.slow

SEED = 3
FOLDS = tuple(f"fold-{number}-of-5" for number in range(1, 6))


class PowerCut(BaseException):
    """Not an error that anything would catch."""


class Meter:
    """A progress display that remembers what was begun, and cuts the power half-way through a title."""

    def __init__(self, cut: str = "nothing") -> None:
        self.cut = cut
        self.begun: list[str] = []

    @contextmanager
    def __call__(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.begun.append(title)
        done = 0

        def on_progress(more: int) -> None:
            nonlocal done
            done += more
            if title.startswith(self.cut) and done >= total / 2:
                raise PowerCut

        yield on_progress

    def epochs(self) -> list[str]:
        return [title for title in self.begun if "epoch" in title]


@pytest.fixture(scope="module")
def few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "N_TREES", 3)
        yield


@pytest.fixture(scope="module")
def quick(recipe) -> Recipe:
    """One epoch of large batches, for what does not need to learn anything."""
    return replace(recipe, epochs=1, batch=16)


@pytest.fixture(scope="module")
def learner(recipe) -> Recipe:
    """A recipe that begins at the mean of the targets and learns in each of its epochs."""
    return replace(recipe, epochs=4, patience=4, batch=4, learning_rate=0.02, ridge_penalty=1e6)


@pytest.fixture(scope="module")
def states(pretrained, tiny, corpus, exact) -> LowerStates:
    """Of the excerpts, and then of their first and second halves."""
    texts = with_halves(corpus.texts)
    return compute_lower_states(pretrained, 1, tiny.tokenizer, texts, exact, lambda more: None)


@pytest.fixture(scope="module")
def easy(corpus, states) -> Corpus:
    """The corpus with targets that can be read off the hidden states."""
    means = states.means[:60] - states.means[:60].mean(axis=0)
    targets = means @ np.random.default_rng(0).normal(size=means.shape[1])
    return replace(corpus, targets=targets / targets.std() + 2)


@pytest.fixture(scope="module")
def teacher(tiny_folder, corpus, exact) -> np.ndarray:
    """What a teacher made of the excerpts and their halves."""
    return teacher_means(load_teacher(str(tiny_folder)), with_halves(corpus.texts), exact, lambda more: None)


Training = Callable[..., Trained]


@pytest.fixture(scope="module")
def training(tiny, corpus, quick, exact, few_trees) -> Training:
    """Train, or go on with it, as a command that is typed again does."""

    def run(path: Path, recipe=quick, about=corpus, teacher=None, texts=(), meter=None, seed=SEED) -> Trained:
        run = RunFolder(path, {})
        return train(about, tiny, recipe, teacher, texts, run, exact, meter or Meter(), seed)

    return run


@pytest.fixture(scope="module")
def learned(training, easy, learner, tmp_path_factory) -> tuple[Trained, Path]:
    path = tmp_path_factory.mktemp("learned")
    return training(path, learner, easy), path


def log(path: Path) -> list[str]:
    """Lines of `log.csv` without the last column, seconds."""
    return [line.rpartition(",")[0] for line in (path / "log.csv").read_text().splitlines()]


def tuned(path: Path, fit: str) -> dict[str, Tensor]:
    """The weights that the fit's checkpoint predicts with."""
    return torch.load(path / f"{fit}.pt", weights_only=True)["average"]


def one_by_one(scorer: PooledEncoder, texts: list[str], tiny) -> np.ndarray:
    """The encoder's scores, each text without padding."""
    rows = [np.array([tiny.tokenizer.encode(text).ids]) for text in texts]
    return np.array([encoder.predict(scorer, ids, np.ones_like(ids))[0, 0] for ids in rows])


def assert_same(one: Trained, other: Trained) -> None:
    assert one.bundle.facts == other.bundle.facts
    assert one.bundle.forest == other.bundle.forest
    assert one.epochs == other.epochs
    np.testing.assert_array_equal(one.out_of_fold, other.out_of_fold)
    assert_same_changes(one.bundle.changes, other.bundle.changes)


def assert_same_changes(one, other) -> None:
    assert sorted(one) == sorted(other)
    for name, change in one.items():
        np.testing.assert_array_equal(change, other[name], err_msg=name)


def test_the_facts_are_those_of_the_encoder_and_the_corpus(trained, tiny, corpus):
    facts = trained.bundle.facts
    assert (facts.encoder, facts.encoder_sha256) == (tiny.name, tiny.sha256)
    assert facts.layers == [2, 3]
    assert facts.quantiles == np.quantile(corpus.targets, np.arange(21) / 20).round(3).tolist()
    assert trained.bundle.trained_urls == set(map(hash_url, corpus.urls))


def test_the_blend_weight_is_chosen_on_the_out_of_fold_scores(trained, corpus):
    assert trained.bundle.facts.bert_weight == best_weight(trained.out_of_fold, corpus.targets)


def test_every_fold_and_then_all_rows_are_fitted(learned, learner):
    trained, path = learned
    run = RunFolder(path, {})
    assert {epoch.fit for epoch in run.log()} == {"all-rows", *FOLDS}
    assert {epoch.fit for epoch in run.log() if epoch.held_out_rmse is None} == {"all-rows"}
    for fit in FOLDS:
        assert [epoch.epoch for epoch in run.epochs(fit)] == list(range(learner.epochs + 1))
    assert run.epochs("all-rows")[-1].epoch == trained.epochs


def scores_after(path: Path, corpus: Corpus, epochs: int) -> np.ndarray:
    """Out-of-fold scores [epochs + 1, N] as the run folder has them."""
    run, scores = RunFolder(path, {}), np.empty((epochs + 1, len(corpus.texts)))
    for fit, (_, held_out) in zip(FOLDS, folds(corpus, SEED), strict=True):
        for epoch in range(epochs + 1):
            scores[epoch, held_out] = run.predictions(fit, min(epoch, run.epochs(fit)[-1].epoch))
    return scores


def test_out_of_fold_scores_are_those_after_the_epoch_that_is_best_over_all_folds(learned, learner, easy):
    trained, path = learned
    scores = scores_after(path, easy, learner.epochs)
    assert trained.epochs == best_epoch(scores, easy.targets)
    np.testing.assert_array_equal(trained.out_of_fold.bert, scores[trained.epochs])


def test_out_of_fold_scores_of_the_forest_are_its_cross_validations(learned, easy):
    expected = out_of_fold_forest(easy, easy.texts, fold_of_rows(easy, SEED), SEED, lambda more: None)
    np.testing.assert_array_equal(learned[0].out_of_fold.cuml, expected)


def test_what_can_be_learned_is_learned_out_of_fold(learned, easy):
    trained, path = learned
    scores = scores_after(path, easy, 0)
    assert trained.epochs > 0
    assert rmse(trained.out_of_fold.bert, easy.targets) < 0.97 * rmse(scores[0], easy.targets)


@pytest.mark.usefixtures("few_trees")
def test_a_fold_that_stopped_early_keeps_its_last_scores(training, easy, recipe, tmp_path):
    # From a good start, steps so large that every epoch is worse.
    hasty = replace(recipe, learning_rate=1.0, epochs=4, patience=1)
    trained, run = training(tmp_path, hasty, easy), RunFolder(tmp_path, {})
    assert max(run.epochs(fit)[-1].epoch for fit in FOLDS) < 4
    assert trained.epochs == 0
    np.testing.assert_array_equal(trained.out_of_fold.bert, scores_after(tmp_path, easy, 4)[0])


def test_the_bundle_keeps_the_out_of_fold_score_of_every_row_by_its_text(trained, corpus):
    found = trained.bundle.out_of_fold
    assert found.texts.tolist() == sorted(map(hash_text, corpus.texts))
    rows = np.searchsorted(found.texts, np.array([hash_text(text) for text in corpus.texts], dtype=np.uint64))
    np.testing.assert_array_equal(found.bert[rows], trained.out_of_fold.bert.astype(np.float32))
    np.testing.assert_array_equal(found.cuml[rows], trained.out_of_fold.cuml.astype(np.float32))


def test_the_reference_scores_are_those_of_the_assembled_encoder_and_the_forest(trained, tiny, reference_texts):
    bundle = trained.bundle
    bert = one_by_one(assemble(tiny, bundle), reference_texts, tiny)
    cuml = predict(treelite.Model.deserialize_bytes(bundle.forest), extract(reference_texts, bundle.features))
    np.testing.assert_allclose(bundle.facts.reference_scores, np.column_stack([bert, cuml]), atol=1e-4)


def test_without_reference_texts_there_are_no_reference_scores(learned):
    assert learned[0].bundle.facts.reference_scores == []


def test_the_features_are_fitted_on_all_rows(trained, corpus):
    assert trained.bundle.features.frequent == FeatureSpec.fit(corpus.texts).frequent


def test_the_forest_learns_what_makes_the_made_up_texts_hard(trained, corpus):
    grown = treelite.Model.deserialize_bytes(trained.bundle.forest)
    scores = predict(grown, extract(corpus.texts, trained.bundle.features))[:, 0]
    assert np.square(scores - corpus.targets).mean() < 0.5 * corpus.targets.var()


def test_the_changes_are_those_of_the_tuned_layers_and_of_the_linear_layer(learned):
    changed = {".".join(name.split(".")[:2]) for name in learned[0].bundle.changes if not name.startswith("head.")}
    assert changed == {"layers.1", "layers.2"}
    assert {"head.weight", "head.bias"} < set(learned[0].bundle.changes)
    assert all(change.any() for change in learned[0].bundle.changes.values())


def test_the_bundle_holds_the_mean_of_the_folds_weights_and_of_those_from_all_rows(learned, learner, pretrained):
    trained, path = learned
    assert trained.epochs == learner.epochs
    mean = mean_weights([tuned(path, fit) for fit in (*FOLDS, "all-rows")])
    assert_same_changes(trained.bundle.changes, pack(mean, base_weights(pretrained)))


def test_folds_that_went_on_past_the_best_epoch_are_not_in_the_mean(
    training, easy, quick, pretrained, states, tiny, tmp_path
):
    """Their weights are those after their last epoch, not those that the figures are of."""
    hasty = replace(quick, learning_rate=1.0)
    trained = training(tmp_path, hasty, easy)
    assert trained.epochs == 0
    ridge = Head.fit(states.means[:60], easy.targets, hasty.ridge_penalty)
    assembled = assemble(tiny, trained.bundle)
    assert assembled.head.bias.item() == pytest.approx(ridge.bias, rel=1e-5)
    for name, weight in pretrained.layers.state_dict().items():
        assert torch.equal(assembled.layers.state_dict()[name], weight), name


def test_the_mean_of_several_fits_is_taken_weight_by_weight():
    fits = [{"a": torch.full((2,), float(value)), "b": torch.tensor([[value * 2.0]])} for value in (1, 2, 6)]
    mean = mean_weights(fits)
    assert {name: value.tolist() for name, value in mean.items()} == {"a": [3.0, 3.0], "b": [[6.0]]}
    assert mean_weights(fits[:1])["a"].tolist() == [1.0, 1.0]


@given(arrays(np.float32, 8, elements=st.floats(-4, 4, width=32)), st.integers(1, 6))
def test_the_mean_of_equal_weights_is_those_weights_to_the_last_bit(weights, count):
    """Else a bundle would hold noise for layers that nothing changed."""
    mean = mean_weights([{"a": torch.from_numpy(weights.copy())}] * count)["a"]
    np.testing.assert_array_equal(mean.numpy(), weights)


def test_the_base_encoder_keeps_its_weights(learned, tiny, tiny_folder):
    before = load_base_encoder(str(tiny_folder)).bert.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in tiny.bert.state_dict().items())


def test_the_same_seed_trains_the_same_bundle_and_another_seed_another(training, tmp_path):
    first, again, other = (training(tmp_path / str(number), seed=seed) for number, seed in enumerate((1, 1, 2)))
    assert_same(first, again)
    assert (first.out_of_fold.bert != other.out_of_fold.bert).any()
    assert first.bundle.forest != other.bundle.forest


@pytest.mark.parametrize("with_teacher", [False, True])
def test_what_is_announced_is_done(training, progress, reference_texts, teacher, tmp_path, with_teacher):
    training(tmp_path, teacher=teacher if with_teacher else None, texts=reference_texts, meter=progress)
    texts = 180 if with_teacher else 60
    assert progress.totals == progress.done
    assert progress.totals["encoding"] == texts
    assert progress.totals["cross-validating the forest"] == 60
    in_folds = [total for title, total in progress.totals.items() if title.startswith("fold-")]
    assert len(in_folds) == 5
    assert sum(in_folds) == 4 * texts


@pytest.mark.parametrize("layers", [(4,), (2, 9)])
def test_layers_that_the_encoder_lacks_are_refused(training, quick, tmp_path, layers):
    with pytest.raises(ValueError, match="are not among 0 to 3"):
        training(tmp_path, replace(quick, layers=layers))


@pytest.fixture(scope="module")
def frozen(training, recipe, tmp_path_factory) -> Trained:
    return training(tmp_path_factory.mktemp("frozen"), replace(recipe, epochs=0))


def test_without_an_epoch_scores_are_those_of_a_ridge_regression_on_the_frozen_encoder(frozen, states, corpus, recipe):
    expected = np.empty(60)
    for fit, held_out in folds(corpus, SEED):
        ridge = Head.fit(states.means[fit], corpus.targets[fit], recipe.ridge_penalty)
        expected[held_out] = ridge.predict(states.means[held_out])
    np.testing.assert_allclose(frozen.out_of_fold.bert, expected, atol=1e-4)
    assert frozen.epochs == 0


def test_without_an_epoch_the_assembled_encoder_is_the_frozen_one_with_the_mean_of_ridge_regressions(
    frozen, states, tiny, corpus, recipe, pretrained
):
    assembled = assemble(tiny, frozen.bundle)
    for name, weight in assembled.state_dict().items():
        if not name.startswith("head."):
            torch.testing.assert_close(weight, pretrained.state_dict()[name], atol=1e-6, rtol=0)
    every = [*(fit for fit, _ in folds(corpus, SEED)), np.arange(60)]
    heads = [Head.fit(states.means[rows], corpus.targets[rows], recipe.ridge_penalty) for rows in every]
    expected = np.mean([head.predict(states.means[:60]) for head in heads], axis=0)
    np.testing.assert_allclose(one_by_one(assembled, corpus.texts, tiny), expected, atol=0.02)


@pytest.fixture(scope="module")
def taught(training, teacher, tmp_path_factory) -> tuple[Trained, Path]:
    path = tmp_path_factory.mktemp("taught")
    return training(path, teacher=teacher), path


def test_with_a_teacher_figures_are_over_excerpts_alone_and_against_the_human_scores(taught, corpus):
    trained, path = taught
    run = RunFolder(path, {})
    for fit, (_, held_out) in zip(FOLDS, folds(corpus, SEED), strict=True):
        for epoch in run.epochs(fit):
            scores = run.predictions(fit, epoch.epoch)
            assert scores.shape == held_out.shape
            assert epoch.held_out_rmse == rmse(scores, corpus.targets[held_out])
    assert trained.bundle.facts.bert_weight == best_weight(trained.out_of_fold, corpus.targets)


def test_with_a_teacher_something_else_is_learned_than_without(taught, training, tmp_path):
    assert (taught[0].out_of_fold.bert != training(tmp_path).out_of_fold.bert).all()


def test_a_teacher_without_a_share_leaves_halves_with_the_human_scores_of_their_excerpts(
    training, quick, corpus, teacher, states, tmp_path
):
    single = replace(quick, epochs=0, teacher_share=0.0, half_teacher_share=0.0)
    trained = training(tmp_path, single, teacher=teacher)
    expected = np.empty(60)
    for fit, held_out in folds(corpus, SEED):
        rows = np.concatenate([fit, fit + 60, fit + 120])
        ridge = Head.fit(states.means[rows], np.tile(corpus.targets[fit], 3), single.ridge_penalty)
        expected[held_out] = ridge.predict(states.means[held_out])
    np.testing.assert_allclose(trained.out_of_fold.bert, expected, atol=1e-4)


def test_with_a_teacher_it_goes_on_where_it_was_stopped(training, teacher, taught, tmp_path):
    with pytest.raises(PowerCut):
        training(tmp_path, teacher=teacher, meter=Meter("fold-3-of-5"))
    assert_same(training(tmp_path, teacher=teacher), taught[0])
    assert log(tmp_path) == log(taught[1])


@pytest.mark.parametrize("cut", ["encoding", "fold-1-of-5, epoch 1", "fold-4-of-5, epoch 3", "cross-val", "all-rows"])
def test_a_run_that_was_stopped_goes_on_and_gives_what_an_unstopped_one_gives(
    training, learner, easy, learned, tmp_path, cut
):
    first, second = Meter(cut), Meter()
    with pytest.raises(PowerCut):
        training(tmp_path, learner, easy, meter=first)
    assert_same(training(tmp_path, learner, easy, meter=second), learned[0])
    assert log(tmp_path) == log(learned[1])
    assert [title for title in first.epochs() if title in second.begun] == [
        title for title in first.epochs() if title.startswith(cut)
    ]


def test_a_finished_run_gives_the_same_again_without_an_epoch(training, learner, easy, learned, tmp_path):
    path, again = shutil.copytree(learned[1], tmp_path / "run"), Meter()
    assert_same(training(path, learner, easy, meter=again), learned[0])
    assert again.epochs() == []


@pytest.mark.parametrize("with_teacher", [False, True])
def test_a_source_never_teaches_any_model_that_scores_it(training, corpus, teacher, tmp_path, with_teacher):
    """Absurd targets for one source leave the scores that it got in the cross-validation as they were."""
    rows = np.array([url == corpus.urls[7] for url in corpus.urls])
    spoilt = replace(corpus, targets=np.where(rows, 50.0, corpus.targets))
    before, after = (
        training(tmp_path / name, about=about, teacher=teacher if with_teacher else None)
        for name, about in (("before", corpus), ("after", spoilt))
    )
    one, other = (scores_after(tmp_path / name, corpus, 1) for name in ("before", "after"))
    np.testing.assert_array_equal(one[:, rows], other[:, rows])
    assert (one[:, ~rows] != other[:, ~rows]).any(axis=0).sum() > 40
    np.testing.assert_array_equal(before.out_of_fold.cuml[rows], after.out_of_fold.cuml[rows])


def test_a_fit_of_a_fold_is_a_fit_of_its_rows_alone(learned, learner, easy, pretrained, states, exact):
    """The run is nothing but its fits: the first fold's can be had by hand."""
    rows, held_out = next(folds(easy, SEED))
    by_hand = FineTuning(pretrained, states, rows, easy.targets, learner, exact, SEED)
    for _ in range(learner.epochs):
        by_hand.run_epoch(lambda more: None)
    scores = scores_after(learned[1], easy, learner.epochs)
    np.testing.assert_array_equal(by_hand.predict(held_out), scores[-1, held_out])
