"""What K models learn from at each step: which texts, and which losses of their scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from readability_triton.training.multitask import stacked_head
from readability_triton.training.multitask.batches import Batches
from readability_triton.training.multitask.compose import ComposedTexts, Kind
from readability_triton.training.multitask.objectives import ranking, squared_error
from readability_triton.training.multitask.recipe import MultitaskRecipe


@dataclass(frozen=True)
class Task:
    """Texts of some kinds and the weights of the losses that are computed on them.

    Attributes:
        batches: draws the texts.
        target: weight of the squared error to the targets.
        level: weight of the squared error of levels.
        ranking: weight of the ranking loss; texts drawn are then the harder ones, the easier ones follow.
    """

    batches: Batches
    target: float = 0.0
    level: float = 0.0
    ranking: float = 0.0

    def draw(self) -> NDArray[np.int64]:
        """Texts INT64 [K, B]; of pairs the harder ones, then the easier ones."""
        texts = self.batches.next()
        return np.concatenate([texts, texts + 1], axis=1) if self.ranking else texts

    def loss(self, scores: Tensor, targets: Tensor, levels: Tensor, head: dict[str, Tensor]) -> Tensor:
        """FP32 [K] of scores, targets and levels [K, B], NaN where unknown."""
        loss = self.target * squared_error(scores, targets)
        if self.level:
            loss = loss + self.level * squared_error(stacked_head.level(head, scores), levels)
        if self.ranking:
            loss = loss + self.ranking * ranking(scores)
        return loss


Pass = Sequence[Task]
"""Tasks whose texts go through the encoder together, being of about the same length."""


def tasks(
    texts: ComposedTexts,
    targets: NDArray[np.float64],
    left_out: Sequence[Sequence[int]],
    recipe: MultitaskRecipe,
    seed: int,
) -> list[Pass]:
    """Passes of a step; tasks without texts are left out.

    Args:
        texts: all texts.
        targets: FP64 [K, U], what each model learns of each text; NaN where there is nothing.
        left_out: of each of K models the folds that it must not see.
        recipe: sizes and weights.
        seed: of the orders.
    """
    sizes, weights = recipe.sizes, recipe.weights
    known = np.isfinite(targets)

    def batches(kinds: Sequence[Kind], size: int, needs_target: bool = False) -> Batches | None:
        pools = []
        for model, folds in enumerate(left_out):
            pool = texts.of(*kinds, without_fold=folds)
            pools.append(pool[known[model, pool]] if needs_target else pool)
        if not size or not all(len(pool) for pool in pools):
            return None
        return Batches(pools, size, texts.lengths, seed * len(Kind) + kinds[0])

    planned = (
        (
            (batches([Kind.ROW], sizes.rows, True), 1.0, 0.0, 0.0),
            (batches([Kind.PROSE], sizes.prose, True), weights.prose, 0.0, 0.0),
        ),
        (
            (batches([Kind.OPENING, Kind.RUN], sizes.runs, True), weights.runs, 0.0, 0.0),
            (batches([Kind.PROSE_RUN], sizes.prose_runs, True), weights.prose_runs, 0.0, 0.0),
        ),
        (
            (batches([Kind.LEVELLED], sizes.levelled), weights.level_labels, weights.levels, 0.0),
            (batches([Kind.LEVELLED_RUN], sizes.levelled_runs), weights.level_labels, weights.level_runs, 0.0),
        ),
        ((batches([Kind.HARDER], sizes.pairs), weights.pair_labels, 0.0, weights.ranking),),
    )
    passes = [[Task(drawn, *rest) for drawn, *rest in each if drawn is not None] for each in planned]
    return [each for each in passes if each]


def on_device(values: NDArray[np.float64], device: torch.device) -> Tensor:
    """FP32 on the device."""
    return torch.from_numpy(values.astype(np.float32)).to(device)
