"""Fit everything a bundle holds: the encoder's upper layers, the forest, and their blend weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import treelite
from numpy.typing import NDArray
from torch import Tensor

from readability_triton.stages.encoder import PooledEncoder, to_torchscript
from readability_triton.stages.encoder import predict as predict_bert
from readability_triton.stages.features import FeatureSpec, extract
from readability_triton.stages.forest import predict as predict_cuml
from readability_triton.stages.tokens import tokenize
from readability_triton.training.assemble import assemble, base_weights
from readability_triton.training.base_encoder import BaseEncoder
from readability_triton.training.bundle import Bundle, Facts, OutOfFold, forest_bytes, hash_url, quantiles
from readability_triton.training.changes import pack
from readability_triton.training.compute import Compute
from readability_triton.training.corpus import Corpus
from readability_triton.training.cross_validation import (
    N_FOLDS,
    Predictions,
    best_epoch,
    best_weight,
    fold_of_rows,
    folds,
    out_of_fold_forest,
)
from readability_triton.training.fine_tuning import saved_weights
from readability_triton.training.fit import Progress
from readability_triton.training.fits import Plan, run_fits
from readability_triton.training.forest import fit_forest_on_texts, forest_device
from readability_triton.training.halves import with_halves
from readability_triton.training.lower_states import compute_lower_states
from readability_triton.training.recipe import Recipe
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.task import Task

FINAL = "all-rows"


@dataclass(frozen=True)
class Trained:
    """A bundle with the out-of-fold predictions that its figures come from, and how many epochs were best."""

    bundle: Bundle
    out_of_fold: Predictions
    epochs: int


def train(
    corpus: Corpus,
    base: BaseEncoder,
    recipe: Recipe,
    teacher: NDArray[np.float32] | None,
    reference_texts: Sequence[str],
    run: RunFolder,
    compute: Compute,
    progress: Progress,
    seed: int = 0,
    jobs: int = 1,
) -> Trained:
    """Cross-validate by url, then fit on all rows.

    The blend weight is the one with the least RMSE: only rows are scored out of fold, so no other yardstick is at hand.

    Args:
        corpus: scored excerpts.
        base: the pretrained encoder.
        recipe: the settings of the fine-tuning.
        teacher: what `teacher_means` gave for `with_halves` of the excerpts, or None to learn from the human scores
            alone.
        reference_texts: texts whose scores go into the bundle, for `build` to check itself against.
        run: where what is done is kept, to go on from.
        compute: where to compute.
        progress: how to show what is being done.
        seed: of the folds, the order of the rows and the forest.
        jobs: fits of the cross-validation to run at once, each in a process of its own.
    """
    # Faster to go back through than PyTorch's own attention: 0.52 against 0.64 s a batch on two cores.
    base.bert.set_attn_implementation("eager")
    encoder = PooledEncoder(base.bert, recipe.layers).eval()
    texts = corpus.texts if teacher is None else with_halves(corpus.texts)
    with progress("encoding", len(texts)) as on_progress:
        states = compute_lower_states(encoder, recipe.n_frozen, base.tokenizer, texts, compute, on_progress)
    task = Task(corpus, base, encoder, states, teacher, recipe, compute, seed)
    bert, epochs, fits = _cross_validate(task, run, progress, jobs)
    device = forest_device(compute.device.type)
    with progress("cross-validating the forest", len(corpus.texts)) as on_progress:
        fold = fold_of_rows(corpus, seed)
        out_of_fold = Predictions(bert, out_of_fold_forest(corpus, corpus.texts, fold, seed, on_progress, device))
    final = Plan(FINAL, np.arange(len(corpus.texts)), np.arange(0), epochs)
    run_fits(task, [final], run, progress, jobs)
    tuned = mean_weights([saved_weights(run.checkpoint(name)) for name in (*fits, FINAL)])
    bundle = make_bundle(corpus, base, encoder, tuned, out_of_fold, seed, device)
    return Trained(with_reference_scores(bundle, base, reference_texts), out_of_fold, epochs)


def mean_weights(fits: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several fits' weights, which scores much as the mean of their scores would, for the price of one.

    Fits that start from the same weights and are not led far can be averaged so (Wortsman et al., Model soups, 2022).
    """
    return {name: torch.stack([each[name].double() for each in fits]).mean(dim=0).float() for name in fits[0]}


def _cross_validate(
    task: Task, run: RunFolder, progress: Progress, jobs: int
) -> tuple[NDArray[np.float64], int, list[str]]:
    """Scores [N] of every row by a fit without its url, after how many epochs, and the fits that ran as many."""
    plans = [
        Plan(f"fold-{number}-of-{N_FOLDS}", rows, held_out, task.recipe.epochs)
        for number, (rows, held_out) in enumerate(folds(task.corpus, task.seed), start=1)
    ]
    run_fits(task, plans, run, progress, jobs)
    scores = np.empty((task.recipe.epochs + 1, len(task.corpus.targets)))
    last = {plan.name: run.epochs(plan.name)[-1].epoch for plan in plans}
    for plan in plans:
        for epoch in range(len(scores)):
            scores[epoch, plan.held_out] = run.predictions(plan.name, min(epoch, last[plan.name]))
    epochs = best_epoch(scores, task.corpus.targets)
    return scores[epochs], epochs, [name for name, epoch in last.items() if epoch == epochs]


def make_bundle(
    corpus: Corpus,
    base: BaseEncoder,
    encoder: PooledEncoder,
    tuned: Mapping[str, Tensor],
    out_of_fold: Predictions,
    seed: int,
    device: str,
) -> Bundle:
    """What was tuned, with the forest fitted on all rows; without scores of reference texts.

    Args:
        corpus: all rows.
        base: the pretrained encoder.
        encoder: it with its linear layer, before tuning.
        tuned: weights by their names in `encoder`.
        out_of_fold: of the rows.
        seed: of the forest.
        device: where the forest is fitted, "cpu" or "cuda".
    """
    features = FeatureSpec.fit(corpus.texts)
    forest = fit_forest_on_texts(corpus.texts, corpus.targets, features, seed, device)
    facts = Facts(
        encoder=base.name,
        encoder_sha256=base.sha256,
        layers=sorted(encoder.pooled_layers),
        bert_weight=best_weight(out_of_fold, corpus.targets),
        quantiles=quantiles(corpus.targets),
        reference_scores=[],
        counts=encoder.counts is not None,
    )
    kept = OutOfFold.of(corpus.texts, out_of_fold.bert, out_of_fold.cuml)
    changes = pack(tuned, base_weights(encoder))
    urls = frozenset(map(hash_url, corpus.urls))
    return Bundle(facts, changes, forest_bytes(forest), features, urls, kept)


def with_reference_scores(bundle: Bundle, base: BaseEncoder, texts: Sequence[str]) -> Bundle:
    """The bundle with the scores of texts by its models, for `build` to check itself against."""
    if not texts:
        return bundle
    bert = predict_bert(to_torchscript(assemble(base, bundle)), *tokenize(texts, base.tokenizer))
    cuml = predict_cuml(treelite.Model.deserialize_bytes(bundle.forest), extract(texts, bundle.features))
    scores = [[round(float(score), 4) for score in row] for row in np.hstack([bert, cuml])]
    return replace(bundle, facts=replace(bundle.facts, reference_scores=scores))
