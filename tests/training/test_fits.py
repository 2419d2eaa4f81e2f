"""Several fits at once: what comes of them is what comes of them one after the other."""

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
import torch

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.fits import Plan, run_fits
from readability_triton.training.lower_states import compute_lower_states
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.task import Task

pytestmark = pytest.mark.slow

EPOCHS = 2
ROOT = Path(__file__).parents[2]


class Unlucky(Task):
    """A task whose fits of a single excerpt end badly, in the process that they run in."""

    how = "raises"

    def start(self, rows):
        if len(rows) == 1 and self.how == "raises":
            raise RuntimeError("no luck")
        if len(rows) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().start(rows)


class Killed(Unlucky):
    how = "is killed"


@pytest.fixture(scope="module")
def make_task(corpus, tiny, pretrained: PooledEncoder, recipe, exact) -> Callable[..., Task]:
    states = compute_lower_states(pretrained, 1, tiny.tokenizer, corpus.texts, exact, lambda more: None)

    def make(kind: type[Task] = Task) -> Task:
        return kind(corpus, tiny, pretrained, states, None, recipe, exact, 3)

    return make


def plan(name: str, n_rows: int) -> Plan:
    return Plan(name, np.arange(n_rows), np.arange(50, 60), EPOCHS)


PLANS = [plan("one", 20), plan("two", 30), plan("three", 40)]


def log(path: Path) -> list[str]:
    """Lines of `log.csv` without the last column, seconds."""
    return [line.rpartition(",")[0] for line in (path / "log.csv").read_text().splitlines()]


def test_fits_at_once_give_what_fits_in_turn_give(make_task, progress, tmp_path):
    in_turn, at_once = (RunFolder(tmp_path / name, {}) for name in ("in-turn", "at-once"))
    run_fits(make_task(), PLANS, in_turn, progress, 1)
    run_fits(make_task(), PLANS, at_once, progress, 2)
    assert log(at_once.path) == log(in_turn.path)
    assert len(log(at_once.path)) == 1 + len(PLANS) * (EPOCHS + 1)
    for each in PLANS:
        for epoch in range(EPOCHS + 1):
            found, expected = (run.predictions(each.name, epoch) for run in (at_once, in_turn))
            np.testing.assert_allclose(found, expected, atol=1e-5)
        weights = [torch.load(run.checkpoint(each.name), weights_only=True)["average"] for run in (at_once, in_turn)]
        torch.testing.assert_close(*weights, atol=1e-5, rtol=0)


def test_every_row_of_every_epoch_is_shown_also_of_epochs_done_before(make_task, progress, tmp_path):
    run = RunFolder(tmp_path, {})
    run_fits(make_task(), PLANS[:1], run, progress, 1)
    run_fits(make_task(), PLANS, run, progress, 2)
    title = "3 fits, 2 at a time"
    assert progress.totals[title] == EPOCHS * (20 + 30 + 40)
    assert progress.done[title] == progress.totals[title]


@pytest.mark.parametrize(("kind", "code"), [(Unlucky, 1), (Killed, -signal.SIGKILL)])
def test_a_fit_that_fails_stops_the_others_and_is_named(
    make_task, progress, tmp_path, kind, code, capfd, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(ROOT)  # for the other process to find the unlucky task
    forkserver._forkserver._stop()  # the next one writes to where capfd reads
    run = RunFolder(tmp_path, {})
    with pytest.raises(ChildProcessError, match=f"the fit single ended with code {code}"):
        run_fits(make_task(kind), [plan("single", 1), *PLANS], run, progress, 2)
    assert not (tmp_path / "task.pt").exists()
    assert ("no luck" in capfd.readouterr().err) == (kind is Unlucky)
    run_fits(make_task(), PLANS, run, progress, 2)
    assert len(log(tmp_path)) == 1 + len(PLANS) * (EPOCHS + 1)


def test_stopped_by_its_user_it_leaves_no_process_and_goes_on_later(make_task, tmp_path):
    run = RunFolder(tmp_path, {})

    @contextmanager
    def stopped_at_once(title: str, total: int):
        def on_progress(more: int) -> None:
            raise KeyboardInterrupt

        yield on_progress

    with pytest.raises(KeyboardInterrupt):
        run_fits(make_task(), PLANS, run, stopped_at_once, 2)
    assert not torch.multiprocessing.active_children()
    assert not (tmp_path / "task.pt").exists()


def test_halves_are_learned_from_beside_the_excerpts_only_with_a_teacher(make_task):
    task = make_task()
    rows = np.array([3, 5])
    assert task.learned_from(rows).tolist() == [3, 5]
    taught = Task(**{**vars(task), "teacher": np.zeros((180, 4), dtype=np.float32)})
    assert taught.learned_from(rows).tolist() == [3, 5, 63, 65, 123, 125]
