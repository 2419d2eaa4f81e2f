import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.training.run_folder import Epoch, RunFolder

SETTINGS = {"seed": 1, "recipe": {"layers": (2, 3), "epochs": 3}, "teacher": None}

maybe = st.none() | st.floats(0, 100)
epochs = st.builds(
    Epoch, st.sampled_from(["fold-1-of-5", "all-rows"]), st.integers(0, 9), maybe, maybe, st.floats(0, 9)
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "new" / "run", SETTINGS)


def epoch(fit: str, number: int) -> Epoch:
    return Epoch(fit, number, 0.5 + number, 0.25 + number, 1.5)


def fill(run: RunFolder) -> None:
    for fit in ("fold-1-of-2", "fold-2-of-2"):
        for number in range(3):
            run.save_epoch(epoch(fit, number), np.full(4, float(number)))


def test_a_new_folder_is_made_and_an_old_one_gone_on_with(run):
    assert not run.resumed
    assert RunFolder(run.path, SETTINGS).resumed


@pytest.mark.parametrize(
    ("other", "reported"),
    [
        (SETTINGS | {"seed": 2}, "(seed: 1 there, 2 now)"),
        (SETTINGS | {"teacher": "large"}, "(teacher: None there, large now)"),
        (SETTINGS | {"device": "cpu"}, "(device: None there, cpu now)"),
        ({key: value for key, value in SETTINGS.items() if key != "seed"}, "(seed: 1 there, None now)"),
        (SETTINGS | {"seed": 2, "teacher": "t"}, "(seed: 1 there, 2 now; teacher: None there, t now)"),
    ],
)
def test_other_settings_are_refused_with_their_names(run, other, reported):
    fill(run)
    with pytest.raises(ValueError, match="holds a run with other settings") as error:
        RunFolder(run.path, other)
    assert reported in str(error.value)
    assert str(run.path) in str(error.value)
    assert len(RunFolder(run.path, SETTINGS).log()) == 6


def test_another_value_deep_in_the_settings_is_refused_too(run):
    with pytest.raises(ValueError, match=r"recipe: .*'epochs': 3.* there, .*'epochs': 4.* now"):
        RunFolder(run.path, SETTINGS | {"recipe": {"layers": (2, 3), "epochs": 4}})


def test_epochs_and_predictions_are_read_back_as_they_were_kept(run):
    fill(run)
    again = RunFolder(run.path, SETTINGS)
    assert again.epochs("fold-2-of-2") == [epoch("fold-2-of-2", number) for number in range(3)]
    for number in range(3):
        np.testing.assert_array_equal(again.predictions("fold-1-of-2", number), np.full(4, float(number)))


def test_a_fit_that_never_ran_has_no_epochs(run):
    assert run.epochs("fold-1-of-5") == []
    assert run.log() == []


def test_the_log_holds_every_epoch_of_every_fit(run):
    fill(run)
    assert run.log() == [epoch(fit, number) for fit in ("fold-1-of-2", "fold-2-of-2") for number in range(3)]


@given(st.lists(epochs, max_size=6))
def test_the_log_is_csv_that_says_what_was_kept(tmp_path_factory, kept):
    run = RunFolder(tmp_path_factory.mktemp("run"), {})
    for each in kept:
        run.save_epoch(each, np.zeros(1))
    if not kept:
        return
    with (run.path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["fit", "epoch", "train_rmse", "held_out_rmse", "seconds"]

    def number(cell: str) -> float | None:
        return float(cell) if cell else None

    read = [
        Epoch(r["fit"], int(r["epoch"]), number(r["train_rmse"]), number(r["held_out_rmse"]), float(r["seconds"]))
        for r in rows
    ]
    assert read == sorted(kept, key=lambda each: each.fit)


@pytest.mark.parametrize(("last", "kept"), [(-1, 0), (0, 1), (1, 2), (2, 3), (7, 3)])
def test_what_came_after_an_epoch_can_be_forgotten(run, last, kept):
    fill(run)
    run.forget_after("fold-1-of-2", last)
    assert [each.epoch for each in run.epochs("fold-1-of-2")] == list(range(kept))
    assert len(run.epochs("fold-2-of-2")) == 3


def test_forgetting_where_nothing_was_kept_keeps_nothing(run):
    run.forget_after("fold-1-of-2", -1)
    assert run.epochs("fold-1-of-2") == []


def test_each_fit_has_a_checkpoint_of_its_own_inside_the_folder(run):
    paths = {run.checkpoint(fit) for fit in ("fold-1-of-5", "fold-2-of-5", "all-rows")}
    assert len(paths) == 3
    assert {path.parent for path in paths} == {run.path}


def test_settings_that_cannot_be_read_are_a_value_error(run):
    (run.path / "settings.json").write_text('{"seed": ')
    with pytest.raises(ValueError):
        RunFolder(run.path, SETTINGS)
