"""A multi-task training with tiny random encoders, whole and stopped at any point."""

import csv
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from readability_triton.training import forest
from readability_triton.training.bundle import Bundle
from readability_triton.training.multitask import fits
from readability_triton.training.multitask.compose import Kind
from readability_triton.training.multitask.read_texts import Sources, read_sources
from readability_triton.training.multitask.recipe import BatchSizes, Model, MultitaskRecipe, TrainingRecipe
from readability_triton.training.multitask.stacked_encoder import Layers
from readability_triton.training.multitask.teachers import TeacherEncoder
from readability_triton.training.multitask.token_store import MPNET
from readability_triton.training.multitask.train import MultitaskTrained, MultitaskTraining, train_multitask
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.yardsticks.measure import yardsticks_of_corpus, yardsticks_of_files

pytestmark = pytest.mark.slow

SIZES = BatchSizes(rows=4, runs=3, prose=2, prose_runs=2, levelled=3, levelled_runs=2, pairs=2)
RECIPE = TrainingRecipe(
    student=Model(Layers(3, 1, (2, 3)), MultitaskRecipe(steps=5, learning_rate=1e-3, averaging=0.5, sizes=SIZES)),
    teacher=Model(Layers(2, 0, (1, 2)), MultitaskRecipe(steps=3, learning_rate=1e-3, averaging=0.5, sizes=SIZES)),
    seeds=2,
    pairs=30,
)


class Stopped(Exception):  # noqa: N818
    """What a kill is in these tests; files are written whole, so that one leaves nothing half done."""


class Progress:
    """Counts what is done, and stops at a given call."""

    def __init__(self, last: int | None = None) -> None:
        self.calls, self.done, self._last = 0, dict[str, int](), last

    @contextmanager
    def __call__(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        def on_progress(more: int) -> None:
            self.done[title] = self.done.get(title, 0) + more
            self.calls += 1
            if self.calls == self._last:
                raise Stopped

        yield on_progress


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.DictWriter(file, rows[0])
        lines.writeheader()
        lines.writerows(rows)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory, corpus, levelled, simplifications, prose) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    columns = (corpus.texts, corpus.targets, corpus.urls)
    rows = [dict(zip(("excerpt", "target", "url"), row, strict=True)) for row in zip(*columns, strict=True)]
    levels = zip(levelled.texts, levelled.levels, levelled.sources, strict=True)
    pairs = zip(simplifications.original, simplifications.simple, strict=True)
    return {
        "data": write(folder / "data.csv", rows),
        "prose": write(folder / "prose.csv", [{"text": text} for text in prose]),
        "levels": write(
            folder / "levels.csv", [dict(zip(("sentence", "level", "source"), row, strict=True)) for row in levels]
        ),
        "pairs": write(
            folder / "pairs.csv",
            [{"original": a, **{f"simple_{n}": each for n, each in enumerate(b)}} for a, b in pairs],
        ),
    }


@pytest.fixture(scope="module")
def sources(files) -> Sources:
    return read_sources(files["data"], [files["prose"]], [files["levels"]], [files["pairs"]])


@pytest.fixture(scope="module", autouse=True)
def saved_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fits, "CHECKPOINT_STEPS", 2)
        patch.setattr(fits, "SAVED_BATCHES", 1)
        patch.setattr(forest, "N_TREES", 3)
        yield


@pytest.fixture(scope="module")
def task(sources, files, tiny, tiny_mpnet, exact, reference_texts) -> MultitaskTraining:
    yardsticks = [*yardsticks_of_corpus(sources.corpus), *yardsticks_of_files([files["pairs"]], [files["levels"]])]
    teacher = TeacherEncoder("tiny-mpnet", "0" * 64, tiny_mpnet, MPNET, 64)
    return MultitaskTraining(sources, yardsticks, tiny, teacher, RECIPE, reference_texts, exact, 3, 3)


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory) -> tuple[MultitaskTrained, Progress, Path]:
    folder, progress = tmp_path_factory.mktemp("whole"), Progress()
    return train_multitask(task, RunFolder(folder, {}), progress), progress, folder


def assert_equal(found: Bundle, wanted: Bundle) -> None:
    for name, change in wanted.changes.items():
        np.testing.assert_array_equal(found.changes[name], change)
    np.testing.assert_array_equal(found.out_of_fold.bert, wanted.out_of_fold.bert)
    np.testing.assert_array_equal(found.out_of_fold.cuml, wanted.out_of_fold.cuml)
    assert found.facts == wanted.facts
    assert found.forest == wanted.forest


def test_every_judged_text_has_out_of_fold_scores_and_every_yardstick_a_figure(whole, task):
    trained, _, _ = whole
    texts = task.sources.compose(task.base.tokenizer, RECIPE.pairs, task.seed)
    at, unknown = trained.bundle.out_of_fold.find(texts.strings)
    assert not len(unknown)
    assert np.isfinite(trained.bundle.out_of_fold.bert[at]).all()
    assert np.isfinite(trained.bundle.out_of_fold.cuml[at]).all()
    assert {figure.kind for figure in trained.figures} == {"openings", "pairs", "levels"}
    assert all(figure.name.endswith(", out of fold") for figure in trained.figures)
    assert all(np.isfinite(figure.values).all() for figure in trained.figures if figure.kind != "levels")
    names = [name for name, *_ in trained.fits]
    assert names == [*(f"teacher {n}" for n in range(1, 11)), *(f"student of fold {n}" for n in range(1, 6))]
    assert trained.bundle.facts.counts
    assert trained.bundle.facts.interval is not None
    assert trained.bundle.facts.level_line is not None


def test_a_finished_run_is_read_and_nothing_computed_again(whole, task):
    trained, _, folder = whole
    again = Progress()
    assert_equal(train_multitask(task, RunFolder(folder, {}), again).bundle, trained.bundle)
    assert set(again.done) == {"composing texts", "cross-validating the forest"}
    assert not [path.name for path in folder.iterdir() if path.suffix in (".pt", ".scores", ".unfinished")]


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_a_run_that_was_killed_goes_on_to_equal_weights(whole, task, tmp_path, share):
    trained, progress, _ = whole
    with pytest.raises(Stopped):
        train_multitask(task, RunFolder(tmp_path, {}), Progress(max(1, round(share * progress.calls))))
    assert_equal(train_multitask(task, RunFolder(tmp_path, {}), Progress()).bundle, trained.bundle)


def test_a_run_may_be_killed_time_and_again(whole, task, tmp_path):
    trained, _, _ = whole
    for attempt in itertools.count(1):
        try:
            found = train_multitask(task, RunFolder(tmp_path, {}), Progress(25))
            break
        except Stopped:
            assert attempt < 40
    assert attempt > 2
    assert_equal(found.bundle, trained.bundle)


def test_a_students_fold_is_not_in_what_its_scores_come_from(whole, task, tmp_path):
    """Other human scores of one fold change the scores of all texts, but not those that its own student gives."""
    texts = task.sources.compose(task.base.tokenizer, RECIPE.pairs, task.seed)
    fold = texts.fold[texts.of(Kind.ROW)]
    corpus = task.sources.corpus
    targets = np.where(fold == 2, corpus.targets[::-1] + 1, corpus.targets)
    other = replace(task, sources=replace(task.sources, corpus=replace(corpus, targets=targets)))
    trained, _, _ = whole
    found = train_multitask(other, RunFolder(tmp_path, {}), Progress())
    same = np.isclose(found.out_of_fold.bert, trained.out_of_fold.bert, atol=1e-5)
    assert same[fold == 2].all()
    assert not same[fold != 2].any()


def test_without_teachers_scores_alone_are_enough(files, task, tmp_path):
    sources = read_sources(files["data"], [], [], [])
    alone = replace(task, sources=sources, teacher=None, yardsticks=yardsticks_of_corpus(sources.corpus))
    trained = train_multitask(alone, RunFolder(tmp_path, {}), Progress())
    assert trained.teacher_rmse is None
    assert trained.bundle.facts.level_line is None
    assert np.isfinite(trained.out_of_fold.bert).all()
