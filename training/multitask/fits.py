"""The fits of a multi-task training, some at once; each is kept in the run folder once it is done."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from readability_triton.training.fit import Progress
from readability_triton.training.multitask.compose import ComposedTexts, Kind
from readability_triton.training.multitask.fit import StackedFit
from readability_triton.training.multitask.recipe import MultitaskRecipe
from readability_triton.training.multitask.stacked_encoder import StackedEncoder
from readability_triton.training.multitask.tasks import tasks
from readability_triton.training.multitask.token_store import TokenStore
from readability_triton.training.run_folder import RunFolder

CHECKPOINT_STEPS = 100
"""Steps that a fit may lose when it is stopped."""

SAVED_BATCHES = 200
"""Batches that predictions may lose."""


@dataclass(frozen=True)
class Plan:
    """One model to fit.

    Attributes:
        name: as files and log have it.
        seed: of its head.
        left_out: folds that it does not see.
        scored: texts that it scores afterwards, INT64.
    """

    name: str
    seed: int
    left_out: tuple[int, ...]
    scored: NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """What came of a fit.

    Attributes:
        scores: FP64 [U], NaN for texts that were not to be scored.
        weights: averaged over steps, by their names in `PooledEncoder`; empty for an encoder that is not a BERT.
    """

    scores: NDArray[np.float64]
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Fits:
    """Models of one kind that learn from the same texts.

    Attributes:
        title: for progress, "teachers" or "students".
        encoder: computes the layers.
        store: gives batches of the texts.
        texts: U texts.
        recipe: the settings of each fit.
        keep_weights: whether the weights are wanted, or the scores alone.
        at_once: how many models are computed side by side.
        seed: of the orders.
    """

    title: str
    encoder: StackedEncoder
    store: TokenStore
    texts: ComposedTexts
    recipe: MultitaskRecipe
    keep_weights: bool
    at_once: int
    seed: int

    def run(
        self, plans: Sequence[Plan], targets: NDArray[np.float64], folder: RunFolder, progress: Progress
    ) -> list[Fitted]:
        """Fit all models; those that the folder has already are read from there.

        Args:
            plans: K models.
            targets: FP64 [K, U], what each learns of each text.
            folder: where what is done is kept.
            progress: how to show what is being done.
        """
        done = []
        for first in range(0, len(plans), self.at_once):
            group = slice(first, first + self.at_once)
            kept = folder.path / f"{plans[first].name}.done"
            if not kept.is_file():
                fit = self._fit(plans[group], targets[group], folder, progress, self.seed + first)
                scores = self._scores(fit, plans[group], folder, progress)
                weights = [
                    fit.pooled_encoder_weights(model) if self.keep_weights else {} for model in range(len(scores))
                ]
                unfinished = kept.with_suffix(".unfinished")
                torch.save({"scores": torch.from_numpy(scores), "weights": weights}, unfinished)
                unfinished.replace(kept)
                for name in (f"{plans[first].name}.pt", f"{plans[first].name}.scores"):
                    (folder.path / name).unlink(missing_ok=True)
            saved = torch.load(kept, weights_only=True)
            done += [Fitted(*each) for each in zip(saved["scores"].numpy(), saved["weights"], strict=True)]
        return done

    def _fit(
        self, plans: Sequence[Plan], targets: NDArray[np.float64], folder: RunFolder, progress: Progress, seed: int
    ) -> StackedFit:
        fit = StackedFit(self.encoder, self.store, self.recipe, [plan.seed for plan in plans])
        rows = self.texts.of(Kind.ROW)
        seen = [~np.isin(self.texts.fold[rows], plan.left_out) for plan in plans]
        fit.start_from_ridge(self._means(fit, rows, folder, progress), self.texts.target[rows], seen)
        passes = tasks(self.texts, targets, [plan.left_out for plan in plans], self.recipe, seed)
        with progress(f"{self.title}: {_names(plans)}, steps", self.recipe.steps) as on_progress:
            fit.run(passes, targets, self.texts.level, on_progress, folder.checkpoint(plans[0].name), CHECKPOINT_STEPS)
        return fit

    def _scores(
        self, fit: StackedFit, plans: Sequence[Plan], folder: RunFolder, progress: Progress
    ) -> NDArray[np.float64]:
        pools = [plan.scored for plan in plans]
        with progress(f"{self.title}: {_names(plans)}, texts scored", max(map(len, pools))) as on_progress:
            return fit.predict(pools, on_progress, folder.path / f"{plans[0].name}.scores", SAVED_BATCHES)

    def _means(
        self, fit: StackedFit, rows: NDArray[np.int64], folder: RunFolder, progress: Progress
    ) -> NDArray[np.float32]:
        kept = folder.path / f"{self.title}-means.npy"
        if not kept.is_file():
            with progress(f"{self.title}: pretrained layers", len(rows)) as on_progress:
                means = fit.pretrained_means(rows)
                on_progress(len(rows))
            np.save(kept.with_suffix(".unfinished.npy"), means)
            kept.with_suffix(".unfinished.npy").replace(kept)
        return np.load(kept)


def _names(plans: Sequence[Plan]) -> str:
    return plans[0].name if len(plans) == 1 else f"{plans[0].name} to {plans[-1].name}"
