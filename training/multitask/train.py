"""The whole of a multi-task training: teachers, labels, students, their average, forest, blend, intervals, bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.counts import TokenCounts, token_table
from readability_triton.stages.encoder import LONGEST
from readability_triton.stages.interval import IntervalTable
from readability_triton.stages.text import words
from readability_triton.training.assemble import pooled_encoder
from readability_triton.training.base_encoder import BaseEncoder
from readability_triton.training.bundle import Bundle, OutOfFold
from readability_triton.training.compute import Compute
from readability_triton.training.cross_validation import N_FOLDS, Predictions, out_of_fold_forest
from readability_triton.training.fit import Progress
from readability_triton.training.forest import forest_device
from readability_triton.training.intervals import calibrate, coverage
from readability_triton.training.level_line import fit_level_line
from readability_triton.training.metrics import rmse
from readability_triton.training.multitask.compose import ComposedTexts, Kind
from readability_triton.training.multitask.fits import Fits
from readability_triton.training.multitask.read_texts import Sources
from readability_triton.training.multitask.recipe import Model, TrainingRecipe
from readability_triton.training.multitask.stacked_encoder import StackedEncoder
from readability_triton.training.multitask.students import fit_students
from readability_triton.training.multitask.teachers import TeacherEncoder, teacher_labels
from readability_triton.training.multitask.token_store import BERT, TokenStore, Vocabulary
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.train import make_bundle, mean_weights, with_reference_scores
from readability_triton.training.yardsticks.blend_weight import choose_weight
from readability_triton.training.yardsticks.figure import Figure
from readability_triton.training.yardsticks.measure import Yardstick, measure, score_out_of_fold

PARTS = (Kind.ROW, Kind.OPENING, Kind.RUN)
"""What intervals are calibrated on."""


@dataclass(frozen=True)
class MultitaskTraining:
    """What a run needs.

    Attributes:
        sources: the data.
        yardsticks: figures of them, measured out of fold.
        base: the encoder that is trained.
        teacher: what the teachers start from; None to learn from human scores alone.
        recipe: the settings.
        reference_texts: texts whose scores go into the bundle.
        compute: where to compute.
        at_once: models computed side by side.
        seed: of all random choices.
    """

    sources: Sources
    yardsticks: Sequence[Yardstick]
    base: BaseEncoder
    teacher: TeacherEncoder | None
    recipe: TrainingRecipe
    reference_texts: Sequence[str]
    compute: Compute
    at_once: int
    seed: int

    def encoder(self, model: Model, teacher: bool) -> StackedEncoder:
        """The layers of teacher or student, on the device.

        Raises:
            ValueError: if the pretrained encoder does not have the recipe's layers.
        """
        pretrained = self.teacher.model if teacher and self.teacher else self.base.bert
        return StackedEncoder(pretrained, model.layers, self.compute.device, self.compute.dtype)


@dataclass(frozen=True)
class MultitaskTrained:
    """A bundle with what its figures come from.

    Attributes:
        bundle: what was learned.
        out_of_fold: scores of the rows.
        figures: yardsticks out of fold, of encoder, forest and blend.
        coverage: of intervals, each fold's by the others: length, texts, share held, mean width.
        teacher_rmse: of the teachers' labels of the rows, averaged; None without teachers.
        fits: of each teacher and each fold's student: its name, rows that it did not see, and its error on them.
    """

    bundle: Bundle
    out_of_fold: Predictions
    figures: list[Figure]
    coverage: list[tuple[str, int, float, float]]
    teacher_rmse: float | None
    fits: list[tuple[str, int, float]]


def train_multitask(task: MultitaskTraining, folder: RunFolder, progress: Progress) -> MultitaskTrained:
    """Run what the folder does not hold already."""
    with progress("composing texts", 1) as on_progress:
        texts = task.sources.compose(task.base.tokenizer, task.recipe.pairs, task.seed)
        on_progress(1)
    labels = _labels(task, texts, folder, progress)
    students = fit_students(_student_fits(task, texts), texts, labels, task.recipe.seeds, folder, progress)
    device = forest_device(task.compute.device.type)
    with progress("cross-validating the forest", len(texts.strings)) as on_progress:
        fold = texts.fold[texts.numbers]
        forest = out_of_fold_forest(task.sources.corpus, texts.strings, fold, task.seed, on_progress, device)
    judged = Predictions(students.out_of_fold[texts.numbers], forest)
    is_row = texts.kind[texts.numbers] == Kind.ROW
    rows = Predictions(judged.bert[is_row], judged.cuml[is_row])
    encoder = pooled_encoder(task.base, task.recipe.student.layers.pooled, counts=True)
    tuned = mean_weights(students.weights)
    bundle = make_bundle(task.sources.corpus, task.base, encoder, tuned, rows, task.seed, device)
    bundle = replace(bundle, out_of_fold=OutOfFold.of(texts.strings, *judged))
    weight = choose_weight(bundle.out_of_fold, task.sources.corpus, task.yardsticks)
    blend = weight * judged.bert + (1 - weight) * judged.cuml
    interval, held = _intervals(texts, blend)
    levelled = texts.kind[texts.numbers] == Kind.LEVELLED
    line = fit_level_line(blend[levelled], texts.level[texts.numbers[levelled]]) if levelled.sum() >= 4 else None
    facts = replace(
        bundle.facts,
        bert_weight=weight,
        interval=interval,
        level_line=line,
        made_by="`readability train-multitask`",
    )
    bundle = with_reference_scores(replace(bundle, facts=facts), task.base, task.reference_texts)
    figures = measure(task.yardsticks, None, score_out_of_fold(bundle.out_of_fold, (1.0, 0.0, weight)))
    fits = _fit_errors(labels, students.out_of_fold, texts)
    return MultitaskTrained(bundle, rows, figures, held, _teacher_rmse(labels, texts), fits)


def _labels(
    task: MultitaskTraining, texts: ComposedTexts, folder: RunFolder, progress: Progress
) -> NDArray[np.float64] | None:
    if task.teacher is None:
        return None
    kept = folder.path / "labels.npy"
    if not kept.is_file():
        fits = _fits(task, texts, task.recipe.teacher, True, task.teacher.vocabulary, task.teacher.longest)
        np.save(kept.with_suffix(".unfinished.npy"), teacher_labels(fits, texts, folder, progress))
        kept.with_suffix(".unfinished.npy").replace(kept)
    return np.load(kept)


def _student_fits(task: MultitaskTraining, texts: ComposedTexts) -> Fits:
    longest = min(LONGEST, task.base.bert.config.max_position_embeddings)
    return _fits(task, texts, task.recipe.student, False, BERT, longest)


def _fits(
    task: MultitaskTraining, texts: ComposedTexts, model: Model, teacher: bool, vocabulary: Vocabulary, longest: int
) -> Fits:
    counts = TokenCounts(token_table(task.base.tokenizer, task.base.bert.config.vocab_size))
    return Fits(
        title="teachers" if teacher else "students",
        encoder=task.encoder(model, teacher),
        store=TokenStore(texts, vocabulary, counts, task.compute.device, longest),
        texts=texts,
        recipe=model.fit,
        keep_weights=not teacher,
        at_once=task.at_once,
        seed=task.seed,
    )


def _intervals(
    texts: ComposedTexts, scores: NDArray[np.float64]
) -> tuple[IntervalTable | None, list[tuple[str, int, float, float]]]:
    """The table fitted on all parts of rows, and what tables of four folds hold of the fifth; none of too few texts."""
    part = np.isin(texts.kind[texts.numbers], PARTS)
    numbers = texts.numbers[part]
    targets, fold = texts.target[numbers], texts.fold[numbers]
    n_words = np.array([len(words(text)) for text, is_part in zip(texts.strings, part, strict=True) if is_part])
    own = scores[part]
    try:
        table = calibrate(own, targets, n_words)
        held = []
        for number in range(N_FOLDS):
            other = fold == number
            of_others = calibrate(own[~other], targets[~other], n_words[~other])
            held += coverage(of_others, own[other], targets[other], n_words[other])
    except ValueError:
        return None, []
    return table, _mean_coverage(held)


def _mean_coverage(rows: Sequence[tuple[str, int, float, float]]) -> list[tuple[str, int, float, float]]:
    """Coverage of several parts of the texts as one, by length."""
    joined = []
    for name in dict.fromkeys(name for name, *_ in rows):
        n, held, width = np.array([rest for of, *rest in rows if of == name]).T
        joined.append((name, int(n.sum()), float(held @ n / n.sum()), float(width @ n / n.sum())))
    return joined


def _teacher_rmse(labels: NDArray[np.float64] | None, texts: ComposedTexts) -> float | None:
    if labels is None:
        return None
    rows = texts.of(Kind.ROW)
    return rmse(np.nanmean(labels[:, rows], axis=0), texts.target[rows])


def _fit_errors(
    labels: NDArray[np.float64] | None, out_of_fold: NDArray[np.float64], texts: ComposedTexts
) -> list[tuple[str, int, float]]:
    found = []
    rows = texts.of(Kind.ROW)
    for number, scores in enumerate([] if labels is None else labels, start=1):
        unseen = rows[np.isfinite(scores[rows])]
        found.append((f"teacher {number}", len(unseen), rmse(scores[unseen], texts.target[unseen])))
    for fold in range(N_FOLDS):
        unseen = rows[texts.fold[rows] == fold]
        found.append((f"student of fold {fold + 1}", len(unseen), rmse(out_of_fold[unseen], texts.target[unseen])))
    return found
