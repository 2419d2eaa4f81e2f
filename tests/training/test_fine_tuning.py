import math
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from readability_triton.training.compute import Compute
from readability_triton.training.fine_tuning import FineTuning
from readability_triton.training.head import Head
from readability_triton.training.lower_states import LowerStates, compute_lower_states
from readability_triton.training.metrics import rmse

pytestmark = pytest.mark.slow

ROWS = np.arange(2, 45)
OTHERS = np.array([50, 0, 47, 1])


@pytest.fixture(scope="module")
def states(pretrained, tiny, corpus, exact) -> LowerStates:
    """Of rows of many lengths."""
    texts = [text[: random.Random(row).randint(20, 250)] for row, text in enumerate(corpus.texts)]
    return compute_lower_states(pretrained, 1, tiny.tokenizer, texts, exact, lambda more: None)


@pytest.fixture(scope="module")
def easy(states) -> np.ndarray:
    """Targets that can be read off the hidden states."""
    means = states.means - states.means.mean(axis=0)
    scores = means @ np.random.default_rng(0).normal(size=means.shape[1])
    return scores / scores.std() + 2


@pytest.fixture
def start(pretrained, states, corpus, recipe, exact) -> Callable[..., FineTuning]:
    """A fit before its first epoch, with other settings where they are given."""

    def make(seed: int = 5, compute: Compute = exact, rows: np.ndarray = ROWS, **changed) -> FineTuning:
        return FineTuning(pretrained, states, rows, corpus.targets, replace(recipe, **changed), compute, seed)

    return make


def run(tuning: FineTuning, epochs: int = 1) -> FineTuning:
    for _ in range(epochs):
        tuning.run_epoch(lambda more: None)
    return tuning


def rates(tuning: FineTuning) -> dict[str, float]:
    """The learning rate of each weight as the last step had it."""
    groups = tuning.optimizer.param_groups
    return {name: group["lr"] for name, group in zip(tuning.weights, groups, strict=True)}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert list(one) == list(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_the_pretrained_encoder_is_left_as_it_is(start, pretrained):
    before = {name: value.clone() for name, value in pretrained.state_dict().items()}
    tuning = run(start())
    tuning.predict(OTHERS)
    assert_same(before, pretrained.state_dict())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in pretrained.parameters())


def test_only_the_upper_layers_and_the_linear_layer_are_tuned(start, pretrained):
    tuning = start()
    upper = [name for name, _ in pretrained.named_parameters() if name.startswith(("layers.1.", "layers.2.", "head."))]
    assert sorted(tuning.average) == sorted(upper)
    before = {name: value.clone() for name, value in tuning.encoder.state_dict().items()}
    after = run(tuning).encoder.state_dict()
    assert {name for name, value in after.items() if not torch.equal(value, before[name])} == set(upper)


def test_with_no_layer_frozen_the_embeddings_still_are(pretrained, tiny, corpus, recipe, exact):
    states = compute_lower_states(pretrained, 0, tiny.tokenizer, corpus.texts[:20], exact, lambda more: None)
    tuning = FineTuning(pretrained, states, np.arange(20), corpus.targets, replace(recipe, n_frozen=0), exact, 0)
    before = {name: value.clone() for name, value in tuning.encoder.state_dict().items()}
    after = run(tuning).encoder.state_dict()
    changed = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"layers", "head"}


def test_before_the_first_epoch_it_predicts_what_the_ridge_regression_predicts(start, states, corpus, recipe):
    ridge = Head.fit(states.means[ROWS], corpus.targets[ROWS], recipe.ridge_penalty)
    np.testing.assert_allclose(start().predict(OTHERS), ridge.predict(states.means[OTHERS]), atol=1e-4)


def test_targets_of_other_rows_are_never_read(pretrained, states, corpus, recipe, exact):
    hidden = np.full_like(corpus.targets, np.nan)
    hidden[ROWS] = corpus.targets[ROWS]
    one, other = (
        run(FineTuning(pretrained, states, ROWS, targets, recipe, exact, 5)) for targets in (corpus.targets, hidden)
    )
    assert_same(one.average, other.average)


def test_the_error_falls_and_what_is_learned_carries_over_to_rows_not_seen(pretrained, states, recipe, exact, easy):
    learner = replace(recipe, epochs=8, batch=4, ridge_penalty=1e6)
    tuning = FineTuning(pretrained, states, ROWS, easy, learner, exact, 5)
    others = np.setdiff1d(np.arange(60), ROWS)
    before = {name: rmse(tuning.predict(rows), easy[rows]) for name, rows in (("seen", ROWS), ("unseen", others))}
    reported = [tuning.run_epoch(lambda more: None) for _ in range(8)]
    assert reported[-1] < 0.6 * reported[0]
    assert rmse(tuning.predict(ROWS), easy[ROWS]) < 0.6 * before["seen"]
    assert rmse(tuning.predict(others), easy[others]) < 0.8 * before["unseen"]


def test_the_told_error_is_that_of_the_steps_own_scores(start, states, corpus, pretrained):
    # One batch, so that no step comes between a score and its error.
    tuning = start(batch=64)
    expected = rmse(tuning.predict(ROWS), corpus.targets[ROWS])
    assert tuning.run_epoch(lambda more: None) == pytest.approx(expected, abs=1e-4)


def test_scores_that_are_right_already_do_no_harm(pretrained, states, recipe, exact):
    """The root of an error of nothing has no slope."""
    constant = FineTuning(pretrained, states, ROWS, np.zeros(60), recipe, exact, 5)
    assert constant.run_epoch(lambda more: None) == pytest.approx(0, abs=1e-3)
    assert np.isfinite(constant.predict(OTHERS)).all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(start):
    first, again, other = (run(start(seed)) for seed in (1, 1, 2))
    assert_same(first.average, again.average)
    assert not torch.equal(first.average["head.weight"], other.average["head.weight"])


@pytest.mark.parametrize("stopped_after", [0, 1, 2])
def test_restored_it_goes_on_as_if_it_had_never_stopped(start, tmp_path, stopped_after):
    stopped = run(start(epochs=3), stopped_after)
    stopped.save(tmp_path / "fit.pt")
    resumed = start(epochs=3)
    resumed.restore(tmp_path / "fit.pt")
    assert resumed.epoch == stopped_after
    np.testing.assert_array_equal(resumed.predict(OTHERS), stopped.predict(OTHERS))
    resumed, never_stopped = run(resumed, 3 - stopped_after), run(start(epochs=3), 3)
    assert resumed.epoch == never_stopped.epoch == 3
    assert_same(resumed.average, never_stopped.average)
    assert_same(dict(resumed.weights), dict(never_stopped.weights))
    np.testing.assert_array_equal(resumed.predict(OTHERS), never_stopped.predict(OTHERS))


def test_a_checkpoint_is_written_whole_or_not_at_all(start, tmp_path, monkeypatch):
    tuning = run(start())
    tuning.save(tmp_path / "fit.pt")
    kept = (tmp_path / "fit.pt").read_bytes()

    def cut(_saved, path):
        path.write_bytes(b"half a check")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        run(tuning).save(tmp_path / "fit.pt")
    assert (tmp_path / "fit.pt").read_bytes() == kept


def test_a_checkpoint_is_read_without_running_code(start, tmp_path):
    torch.save({"epoch": print}, tmp_path / "fit.pt")
    with pytest.raises(Exception, match="Weights only load failed"):
        start().restore(tmp_path / "fit.pt")


def test_predicting_between_epochs_does_not_disturb_the_fit(start):
    asked, unasked = start(), start()
    for _ in range(2):
        asked.run_epoch(lambda more: None)
        unasked.run_epoch(lambda more: None)
        asked.predict(ROWS)
    assert_same(asked.average, unasked.average)


def test_predictions_stand_in_the_order_asked_for_and_do_not_depend_on_their_neighbours(start):
    tuning = run(start())
    together = tuning.predict(OTHERS)
    np.testing.assert_allclose(together, [tuning.predict(np.array([row]))[0] for row in OTHERS], atol=1e-5)
    np.testing.assert_allclose(together[::-1], tuning.predict(OTHERS[::-1]), atol=1e-5)
    assert len(set(together)) == len(OTHERS)
    assert tuning.predict(np.arange(0)).shape == (0,)


def test_every_row_is_gone_through_once_an_epoch_in_another_order_each_time(start):
    tuning = start(batch=4)
    orders = []
    for epoch in range(3):
        tuning.epoch = epoch
        batches = list(tuning._batches())
        assert sorted(np.concatenate(batches)) == ROWS.tolist()
        assert max(map(len, batches)) == 4
        orders.append(np.concatenate(batches).tolist())
    assert orders[0] != orders[1] != orders[2]


def test_rows_of_a_batch_are_of_similar_length(start, states):
    spans = [np.ptp(states.lengths[batch]) for batch in start(batch=4)._batches()]
    assert np.mean(spans) < 0.25 * np.ptp(states.lengths[ROWS])


def test_all_rows_are_announced(start):
    reported = []
    start().run_epoch(reported.append)
    assert sum(reported) == len(ROWS)
    assert len(reported) == math.ceil(len(ROWS) / 8)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_next_to_nothing(start, recipe):
    tuning = start(epochs=4, warm_up=0.2)
    head = []

    def note(_more):
        head.append(rates(tuning)["head.weight"])

    for _ in range(4):
        tuning.run_epoch(note)
    top = head.index(max(head))
    assert len(head) == tuning.n_steps == 24
    assert max(head) == recipe.learning_rate
    assert 0 < head[0] < max(head)
    assert head[: top + 1] == sorted(head[: top + 1])
    assert head[top:] == sorted(head[top:], reverse=True)
    assert 0 < head[-1] < 0.1 * max(head)
    # Steps after those that the decay was planned for would change nothing.
    before = {name: weight.detach().clone() for name, weight in tuning.weights.items()}
    assert_same(before, dict(run(tuning).weights))


def test_each_layer_learns_at_a_share_of_the_rate_of_the_layer_above(start, recipe):
    reported = rates(run(start(layer_decay=0.5)))
    for name, rate in reported.items():
        share = 0.5 if name.startswith("layers.1.") else 1.0
        assert rate == pytest.approx(share * reported["head.weight"]), name


def test_matrices_are_decayed_and_vectors_are_not(start, recipe):
    tuning = start(weight_decay=0.25)
    for (name, weight), group in zip(tuning.weights.items(), tuning.optimizer.param_groups, strict=True):
        assert group["params"] == [weight]
        assert group["weight_decay"] == (0.0 if name.endswith(("bias", "LayerNorm.weight")) else 0.25), name


def test_gradients_are_clipped_to_the_length_allowed(start):
    tuning = start(max_gradient_norm=0.01)
    lengths = []

    def note(_more):
        gradients = [weight.grad.flatten() for weight in tuning.weights.values() if weight.grad is not None]
        lengths.append(torch.cat(gradients).norm().item())

    tuning.run_epoch(note)
    assert lengths == pytest.approx([0.01] * len(lengths), rel=1e-3)


def test_what_predicts_is_the_running_average_of_the_weights(start):
    at_once, slowly = run(start(averaging=0.0)), run(start(averaging=0.999))
    assert_same({name: weight.detach() for name, weight in at_once.weights.items()}, at_once.average)
    assert_same(dict(at_once.weights), dict(slowly.weights))
    assert (at_once.predict(OTHERS) != slowly.predict(OTHERS)).all()


def test_the_tuned_weights_score_as_it_predicts(start, pretrained, states, exact):
    tuning = run(start())
    encoder = exact.shadow(pretrained)
    encoder.load_state_dict(tuning.average, strict=False)
    with torch.inference_mode():
        scores = encoder.head(encoder.pool(*states.batch(OTHERS, exact), computed=1))[:, 0]
    np.testing.assert_allclose(tuning.predict(OTHERS), scores.numpy(), atol=1e-5)


class TestInBf16:
    @pytest.fixture
    def tuning(self, pretrained, tiny, corpus, recipe) -> FineTuning:
        compute = Compute(torch.device("cpu"), torch.bfloat16)
        states = compute_lower_states(pretrained, 1, tiny.tokenizer, corpus.texts, compute, lambda more: None)
        return FineTuning(pretrained, states, ROWS, corpus.targets, recipe, compute, 5)

    def test_weights_are_kept_in_fp32_so_that_small_steps_are_not_lost(self, tuning, pretrained):
        before = tuning.predict(ROWS)
        run(tuning)
        assert {value.dtype for value in tuning.average.values()} == {torch.float32}
        assert {value.dtype for value in tuning.encoder.layers.state_dict().values()} == {torch.bfloat16}
        name = "layers.2.output.dense.weight"
        steps = (tuning.average[name] - pretrained.state_dict()[name]).abs()
        assert (steps > 0).all()
        assert (tuning.predict(ROWS) != before).all()

    def test_it_learns_nearly_what_it_learns_in_fp32(self, pretrained, tiny, corpus, recipe, exact, easy):
        scores = []
        for compute in (exact, Compute(torch.device("cpu"), torch.bfloat16)):
            states = compute_lower_states(pretrained, 1, tiny.tokenizer, corpus.texts, compute, lambda more: None)
            tuning = FineTuning(pretrained, states, ROWS, easy, replace(recipe, ridge_penalty=1e6), compute, 5)
            scores.append(run(tuning, 2).predict(np.arange(60)))
        assert np.corrcoef(*scores)[0, 1] > 0.95

    def test_it_starts_from_the_ridge_regression(self, tuning, corpus, recipe):
        ridge = Head.fit(tuning.states.means[ROWS], corpus.targets[ROWS], recipe.ridge_penalty)
        np.testing.assert_allclose(tuning.predict(OTHERS), ridge.predict(tuning.states.means[OTHERS]), atol=0.02)
