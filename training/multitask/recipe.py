"""The settings of a multi-task fit; why each has its value is in docs/train.md."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BatchSizes:
    """Texts of each kind a step and model."""

    rows: int = 14
    runs: int = 14
    prose: int = 12
    prose_runs: int = 8
    levelled: int = 20
    levelled_runs: int = 10
    pairs: int = 5


@dataclass(frozen=True)
class LossWeights:
    """What the loss of each task is multiplied by; 1 for whole excerpts.

    Attributes:
        runs: of parts of excerpts.
        prose, prose_runs: of labels of passages without a score, and of runs of their sentences.
        levels, level_runs: of levels of sentences, and of runs of sentences of one level.
        level_labels: of labels of both.
        ranking: of pairs in order.
        pair_labels: of labels of both texts of a pair.
    """

    runs: float = 0.6
    prose: float = 0.7
    prose_runs: float = 0.4
    levels: float = 0.3
    level_runs: float = 0.15
    level_labels: float = 0.3
    ranking: float = 0.15
    pair_labels: float = 0.4


@dataclass(frozen=True)
class MultitaskRecipe:
    """Settings of one fit.

    Attributes:
        steps: how many are taken.
        learning_rate: of the highest layer, at its peak.
        layer_decay: what each layer's learning rate is multiplied by for the layer below.
        weight_decay: of matrices.
        warm_up: share of the steps in which the learning rate rises.
        averaging: how much of the running average of the weights is kept at each step.
        max_gradient_norm: larger gradients are scaled down to it.
        ridge_penalty: of the ridge regression that the linear layer starts from.
        label_share: weight of the teachers' label in the target of an excerpt or a part of one, the rest being the
            human score.
        sizes: of batches.
        weights: of losses.
    """

    steps: int = 1500
    learning_rate: float = 1e-4
    layer_decay: float = 0.85
    weight_decay: float = 0.01
    warm_up: float = 0.06
    averaging: float = 0.99
    max_gradient_norm: float = 1.0
    ridge_penalty: float = 1000.0
    label_share: float = 0.7
    sizes: BatchSizes = field(default_factory=BatchSizes)
    weights: LossWeights = field(default_factory=LossWeights)

    def rate(self, step: int) -> float:
        """Share of the peak learning rate: a linear rise, then a linear fall to nothing."""
        rise = max(1, round(self.warm_up * self.steps))
        return min((step + 1) / rise, 1.0) * min(1.0, max(0.0, (self.steps - step) / max(1, self.steps - rise)))


TEACHER = MultitaskRecipe(
    steps=530,
    learning_rate=5e-5,
    layer_decay=0.92,
    ridge_penalty=8000.0,
    label_share=0.0,
    sizes=BatchSizes(rows=16, runs=10, levelled=10, levelled_runs=6, pairs=3),
    weights=LossWeights(runs=0.5, levels=0.2, level_runs=0.1),
)
"""For a teacher: no labels to learn from, and more to be computed a text."""
