"""What a model card says of a multi-task training."""

from pathlib import Path

from readability_triton.training.model_card import Training
from readability_triton.training.multitask.labels import FOLD_PAIRS
from readability_triton.training.multitask.recipe import LossWeights, MultitaskRecipe
from readability_triton.training.multitask.stacked_head import HIDDEN
from readability_triton.training.multitask.train import MultitaskTrained, MultitaskTraining

_HELD_OUT = """\
teachers included. The blend weight, one number, was chosen on the same predictions. The encoder in this folder is the
mean of the weights of {seeds} fits on all rows; the forest is fitted on all rows. There are no figures on other rows
here, as none were at hand. Intervals: 95 %, bootstrap over sources."""


def multitask(task: MultitaskTraining, trained: MultitaskTrained) -> Training:
    """What is said of `readability train-multitask`."""
    student, seeds = task.recipe.student, task.recipe.seeds
    parts = [
        ("counts", f"words, words a sentence, letters and pieces a word, in logarithms; a small layer of {HIDDEN}"),
        ("tasks", _tasks(task, student.fit.weights)),
        ("teachers", _teachers(task, trained)),
    ]
    return Training(
        command="readability train-multitask",
        tuned=_tuned(student.layers.frozen, student.layers.last, student.fit, seeds),
        parts=parts,
        blended_by="RMSE and all yardsticks, out of fold",
        held_out=_HELD_OUT.format(seeds=seeds),
        yardsticks=trained.figures,
        coverage=trained.coverage,
    )


def _tuned(frozen: int, last: int, fit: MultitaskRecipe, seeds: int) -> str:
    return (
        f"layers {frozen + 1} to {last}, {fit.steps:,} steps; AdamW at {fit.learning_rate:g} for the highest layer and "
        f"{fit.layer_decay:g} of that a layer down, weight decay {fit.weight_decay:g}, {fit.warm_up:.0%} warm-up, "
        f"gradients clipped at {fit.max_gradient_norm:g}, weights averaged over steps ({fit.averaging:g}) and over "
        f"{seeds} seed{'s' if seeds > 1 else ''}"
    )


def _tasks(task: MultitaskTraining, weights: LossWeights) -> str:
    share = task.recipe.student.fit.label_share if task.teacher else 0.0
    scored = "human scores" if not share else f"{1 - share:.0%} human score, {share:.0%} teachers"
    found = [f"excerpts ({scored}), and runs of 1 to 5 of their sentences (weight {weights.runs:g})"]
    if task.sources.prose and task.teacher:
        found.append(f"prose, labelled by the teachers ({weights.prose:g}), and runs of it ({weights.prose_runs:g})")
    if task.sources.levelled:
        found.append(
            f"levels of sentences ({weights.levels:g}) and of several of one level ({weights.level_runs:g}), a learned "
            "line of the score"
        )
    if task.sources.pairs:
        found.append(f"pairs in order ({weights.ranking:g})")
    return "; ".join(found)


def _teachers(task: MultitaskTraining, trained: MultitaskTrained) -> str:
    if task.teacher is None:
        return "none"
    layers, fit = task.recipe.teacher.layers, task.recipe.teacher.fit
    return (
        f"{len(FOLD_PAIRS)} fits of `{Path(task.teacher.name).name}`, layers {layers.frozen + 1} to {layers.last}, "
        f"{fit.steps:,} steps at {fit.learning_rate:g}, each without two of five folds: no label of a text is by a "
        "teacher that saw it, nor by one that saw the fold a figure below is measured on; RMSE of their labels of the "
        f"excerpts {trained.teacher_rmse:.3f}"
    )
