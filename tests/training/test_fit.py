"""A fit that is stopped anywhere goes on, and what comes of it is what would have come of it unstopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.training.fine_tuning import FineTuning
from readability_triton.training.fit import fit, stopped_early
from readability_triton.training.lower_states import LowerStates, compute_lower_states
from readability_triton.training.metrics import rmse
from readability_triton.training.recipe import Recipe
from readability_triton.training.run_folder import Epoch, RunFolder

pytestmark = pytest.mark.slow

EPOCHS = 3
BATCHES = 3
"""An epoch."""

ROWS, HELD_OUT = np.arange(24), np.arange(24, 40)


class PowerCut(BaseException):
    """Not an error that anything would catch."""


class Meter:
    """A progress display that remembers what was begun, and cuts the power after so many steps."""

    def __init__(self, steps: float = np.inf) -> None:
        self.steps = steps
        self.begun: list[str] = []

    @contextmanager
    def __call__(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.begun.append(title)

        def on_progress(more: int) -> None:
            self.steps -= 1
            if self.steps < 0:
                raise PowerCut

        yield on_progress


@pytest.fixture(scope="module")
def states(pretrained, tiny, corpus, exact) -> LowerStates:
    return compute_lower_states(pretrained, 1, tiny.tokenizer, corpus.texts[:40], exact, lambda more: None)


@pytest.fixture(scope="module")
def tuning(pretrained, states, corpus, recipe, exact) -> Callable[..., FineTuning]:
    """A fit before its first epoch."""

    def make(targets: np.ndarray = corpus.targets, **changed) -> FineTuning:
        chosen = replace(recipe, epochs=EPOCHS, patience=EPOCHS, **changed)
        return FineTuning(pretrained, states, ROWS, targets, chosen, exact, 7)

    return make


@pytest.fixture
def go(tuning, corpus, tmp_path) -> Callable[..., tuple[RunFolder, FineTuning]]:
    """Fit, or go on with it, as a command that is typed again does."""

    def run(meter: Meter, name: str = "run") -> tuple[RunFolder, FineTuning]:
        run, fresh = RunFolder(tmp_path / name, {}), tuning()
        fit("fold-1-of-1", fresh, HELD_OUT, corpus.targets, EPOCHS, run, meter)
        return run, fresh

    return run


def log(run: RunFolder) -> list[str]:
    """Lines of `log.csv` without the last column, seconds."""
    return [line.rpartition(",")[0] for line in (run.path / "log.csv").read_text().splitlines()]


def assert_same_outcome(one: tuple[RunFolder, FineTuning], other: tuple[RunFolder, FineTuning]) -> None:
    assert log(one[0]) == log(other[0])
    for epoch in range(EPOCHS + 1):
        predictions = (run.predictions("fold-1-of-1", epoch) for run, _ in (one, other))
        np.testing.assert_array_equal(*predictions)
    for name, weight in one[1].average.items():
        assert torch.equal(weight, other[1].average[name]), name


@pytest.fixture(scope="module")
def unstopped(tuning, corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, FineTuning]:
    run, fresh = RunFolder(tmp_path_factory.mktemp("unstopped"), {}), tuning()
    fit("fold-1-of-1", fresh, HELD_OUT, corpus.targets, EPOCHS, run, Meter())
    return run, fresh


@pytest.mark.parametrize("steps", range(EPOCHS * BATCHES))
def test_a_fit_killed_in_any_step_goes_on_and_loses_at_most_one_epoch(go, unstopped, steps):
    first, second = Meter(steps), Meter()
    with pytest.raises(PowerCut):
        go(first)
    assert_same_outcome(go(second), unstopped)
    assert len(first.begun) == steps // BATCHES + 1
    assert len(first.begun) + len(second.begun) == EPOCHS + 1


def test_a_fit_killed_again_and_again_gets_there(go, unstopped):
    for _ in range(EPOCHS - 1):
        with pytest.raises(PowerCut):
            go(Meter(BATCHES))
    assert_same_outcome(go(Meter()), unstopped)


@pytest.mark.parametrize("saves", range(EPOCHS))
def test_a_fit_killed_between_its_log_and_its_checkpoint_goes_on(go, unstopped, saves, monkeypatch):
    left = iter(range(saves))
    save = FineTuning.save

    def cut(tuning: FineTuning, path: Path) -> None:
        if next(left, None) is None:
            raise PowerCut
        save(tuning, path)

    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "save", cut)
        with pytest.raises(PowerCut):
            go(Meter())
    assert_same_outcome(go(Meter()), unstopped)


@pytest.mark.parametrize("saves", range(EPOCHS + 1))
def test_a_fit_killed_while_it_keeps_its_predictions_goes_on(go, unstopped, saves, monkeypatch):
    left = iter(range(saves))
    save = np.save

    def cut(path: Path, array: np.ndarray) -> None:
        if next(left, None) is None:
            path.write_bytes(b"\x93NUM")
            raise PowerCut
        save(path, array)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", cut)
        with pytest.raises(PowerCut):
            go(Meter())
    assert_same_outcome(go(Meter()), unstopped)


def test_a_finished_fit_is_not_done_again(go, unstopped):
    go(Meter())
    again = Meter()
    assert_same_outcome(go(again), unstopped)
    assert again.begun == []


def test_the_log_tells_of_the_epochs_in_their_order_and_of_the_start(unstopped, corpus, tuning):
    run, _ = unstopped
    epochs = run.epochs("fold-1-of-1")
    assert [each.epoch for each in epochs] == [0, 1, 2, 3]
    assert epochs[0].train_rmse is None
    assert all(each.train_rmse > 0 for each in epochs[1:])
    for each in epochs:
        scores = run.predictions("fold-1-of-1", each.epoch)
        assert each.held_out_rmse == rmse(scores, corpus.targets[HELD_OUT])
    np.testing.assert_array_equal(run.predictions("fold-1-of-1", 0), tuning().predict(HELD_OUT))


def test_a_fit_on_all_rows_has_no_held_out_error_and_runs_every_epoch_asked_for(tuning, corpus, tmp_path):
    run, fresh = RunFolder(tmp_path, {}), tuning()
    fit("all-rows", fresh, np.arange(0), corpus.targets, 2, run, Meter())
    assert [each.epoch for each in run.epochs("all-rows")] == [0, 1, 2]
    assert {each.held_out_rmse for each in run.epochs("all-rows")} == {None}
    assert fresh.epoch == 2


def test_no_epochs_are_the_start_alone(tuning, corpus, tmp_path):
    run, fresh = RunFolder(tmp_path, {}), tuning()
    for _ in range(2):
        fit("fold-1-of-1", fresh, HELD_OUT, corpus.targets, 0, run, meter := Meter())
        assert len(run.epochs("fold-1-of-1")) == 1
        assert meter.begun == []


@pytest.mark.parametrize("patience", [1, 2])
def test_a_fit_stops_when_the_held_out_error_no_longer_falls_and_stays_stopped(
    pretrained, states, corpus, recipe, exact, tmp_path, patience
):
    """Held against what it predicts before the first epoch, it can only get worse."""
    chosen, run = replace(recipe, epochs=9, patience=patience), RunFolder(tmp_path, {})
    begun = []
    for _ in range(2):
        tuning = FineTuning(pretrained, states, ROWS, corpus.targets, chosen, exact, 7)
        measured = corpus.targets.copy()
        measured[HELD_OUT] = tuning.predict(HELD_OUT)
        fit("fold-1-of-1", tuning, HELD_OUT, measured, 9, run, meter := Meter())
        begun += meter.begun
    assert len(begun) == patience
    assert [each.epoch for each in run.epochs("fold-1-of-1")] == list(range(patience + 1))


errors = st.lists(st.integers(0, 9).map(float), max_size=8)


@given(errors, st.integers(1, 4))
def test_it_stops_once_the_least_error_is_as_many_epochs_old_as_there_is_patience(errors, patience):
    log = [Epoch("fit", number, None, error, 0.0) for number, error in enumerate(errors)]
    age = len(errors) - 1 - errors.index(min(errors)) if errors else 0
    assert stopped_early(log, patience) == (age >= patience)


@given(st.integers(0, 9), st.integers(1, 4))
def test_without_a_held_out_error_it_never_stops_early(n_epochs, patience):
    assert not stopped_early([Epoch("fit", number, 1.0, None, 0.0) for number in range(n_epochs)], patience)


def test_the_recipe_for_the_fits_here_runs_three_steps_an_epoch(recipe: Recipe):
    assert len(ROWS) == BATCHES * recipe.batch
