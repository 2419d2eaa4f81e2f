"""Fit everything a bundle holds: the encoder's upper layers, the forest, and their blend weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import treelite
from numpy.typing import NDArray
from torch import Tensor

from stages.encoder import PooledEncoder, to_torchscript
from stages.encoder import predict as predict_bert
from stages.features import FeatureSpec, extract
from stages.forest import predict as predict_cuml
from stages.tokens import tokenize
from training.assemble import assemble, base_weights
from training.base_encoder import BaseEncoder
from training.bundle import Bundle, Facts, OutOfFold, forest_bytes, hash_text, hash_url, quantiles
from training.changes import pack
from training.compute import Compute
from training.corpus import Corpus
from training.cross_validation import N_FOLDS, Predictions, best_epoch, best_weight, folds, out_of_fold_forest
from training.fine_tuning import FineTuning
from training.fit import Progress, fit
from training.forest import fit_forest, forest_device
from training.halves import with_halves
from training.lower_states import LowerStates, compute_lower_states
from training.recipe import Recipe
from training.run_folder import RunFolder
from training.teacher import teach

FINAL = "all-rows"


@dataclass(frozen=True)
class Trained:
    """A bundle with the out-of-fold predictions that its figures come from, and how many epochs were best."""

    bundle: Bundle
    out_of_fold: Predictions
    epochs: int


@dataclass(frozen=True)
class Task:
    """What every fit of a run shares; with a teacher, `states` go on with the first and then the second halves."""

    corpus: Corpus
    base: BaseEncoder
    encoder: PooledEncoder
    states: LowerStates
    teacher: NDArray[np.float32] | None
    recipe: Recipe
    compute: Compute
    seed: int

    def start(self, rows: NDArray[np.int64]) -> FineTuning:
        """A fit of these excerpts before its first epoch."""
        targets, urls, n_texts = self.corpus.targets, self.corpus.urls, len(self.corpus.texts)
        if self.teacher is not None:
            means = np.hstack([self.teacher, self.states.means])
            targets = teach(means, targets, urls, rows, self.recipe, self.seed)
            rows = np.concatenate([rows, rows + n_texts, rows + 2 * n_texts])
        return FineTuning(self.encoder, self.states, rows, targets, self.recipe, self.compute, self.seed)


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
) -> Trained:
    """Cross-validate by url, then fit on all rows.

    Args:
        corpus: scored excerpts.
        base: the pretrained encoder.
        recipe: the settings of the fine-tuning.
        teacher: what `training.teacher.teacher_means` gave for `with_halves` of the excerpts, or None to learn from the
            human scores alone.
        reference_texts: texts whose scores go into the bundle, for `build` to check itself against.
        run: where what is done is kept, to go on from.
        compute: where to compute.
        progress: how to show what is being done.
        seed: of the folds, the order of the rows and the forest.
    """
    # Faster to go back through than PyTorch's own attention: 0.52 against 0.64 s a batch on two cores.
    base.bert.set_attn_implementation("eager")
    encoder = PooledEncoder(base.bert, recipe.layers).eval()
    texts = corpus.texts if teacher is None else with_halves(corpus.texts)
    with progress("encoding", len(texts)) as advance:
        states = compute_lower_states(encoder, recipe.n_frozen, base.tokenizer, texts, compute, advance)
    task = Task(corpus, base, encoder, states, teacher, recipe, compute, seed)
    bert, epochs, tuned = _cross_validate(task, run, progress)
    with progress("cross-validating the forest", len(corpus.texts)) as advance:
        out_of_fold = Predictions(bert, out_of_fold_forest(corpus, seed, advance, forest_device(compute.device.type)))
    tuning = task.start(np.arange(len(corpus.texts)))
    fit(FINAL, tuning, np.arange(0), corpus.targets, epochs, run, progress)
    bundle = _bundle(task, mean_weights([*tuned, tuning.tuned()]), out_of_fold)
    return Trained(_with_reference_scores(bundle, base, reference_texts), out_of_fold, epochs)


def mean_weights(fits: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several fits' weights, which scores much as the mean of their scores would, for the price of one.

    Fits that start from the same weights and are not led far can be averaged so (Wortsman et al., Model soups, 2022).
    """
    return {name: torch.stack([each[name].double() for each in fits]).mean(dim=0).float() for name in fits[0]}


def _cross_validate(
    task: Task, run: RunFolder, progress: Progress
) -> tuple[NDArray[np.float64], int, list[dict[str, Tensor]]]:
    """Scores [N] of every row by a fit without its url, the number of epochs after which, and those fits' weights."""
    targets = task.corpus.targets
    scores = np.empty((task.recipe.epochs + 1, len(targets)))
    fits = []
    for number, (rows, held_out) in enumerate(folds(task.corpus, task.seed), start=1):
        name = f"fold-{number}-of-{N_FOLDS}"
        tuning = task.start(rows)
        fit(name, tuning, held_out, targets, task.recipe.epochs, run, progress)
        for epoch in range(len(scores)):
            scores[epoch, held_out] = run.predictions(name, min(epoch, tuning.epoch))
        fits.append((tuning.epoch, tuning.tuned()))
    epochs = best_epoch(scores, targets)
    return scores[epochs], epochs, [weights for epoch, weights in fits if epoch == epochs]


def _bundle(task: Task, tuned: Mapping[str, Tensor], out_of_fold: Predictions) -> Bundle:
    corpus = task.corpus
    features = FeatureSpec.fit(corpus.texts)
    forest = fit_forest(
        extract(corpus.texts, features), corpus.targets, task.seed, forest_device(task.compute.device.type)
    )
    facts = Facts(
        encoder=task.base.name,
        encoder_sha256=task.base.sha256,
        layers=sorted(task.encoder.pooled_layers),
        bert_weight=best_weight(out_of_fold, corpus.targets),
        quantiles=quantiles(corpus.targets),
        reference_scores=[],
    )
    hashes = np.array([hash_text(text) for text in corpus.texts], dtype=np.uint64)
    rising = np.argsort(hashes)
    kept = OutOfFold(hashes[rising], *(scores[rising].astype(np.float32) for scores in out_of_fold))
    changes = pack(tuned, base_weights(task.encoder))
    return Bundle(facts, changes, forest_bytes(forest), features, frozenset(map(hash_url, corpus.urls)), kept)


def _with_reference_scores(bundle: Bundle, base: BaseEncoder, texts: Sequence[str]) -> Bundle:
    if not texts:
        return bundle
    bert = predict_bert(to_torchscript(assemble(base, bundle)), *tokenize(texts, base.tokenizer))
    cuml = predict_cuml(treelite.Model.deserialize_bytes(bundle.forest), extract(texts, bundle.features))
    scores = [[round(float(score), 4) for score in row] for row in np.hstack([bert, cuml])]
    return replace(bundle, facts=replace(bundle.facts, reference_scores=scores))
