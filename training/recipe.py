"""The settings of a fine-tuning; why each has its value is in docs/train.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Settings of one fine-tuning.

    Attributes:
        n_frozen: lower layers left as they are; embeddings always are.
        layers: layers whose outputs are averaged for the score, all above `n_frozen`; the highest is the last computed.
        epochs: passes over the training rows that the learning rate's decay is planned for.
        patience: epochs without a lesser held-out error after which a fit stops.
        learning_rate: of the highest layer and the linear layer, at its peak.
        layer_decay: what each layer's learning rate is multiplied by for the layer below.
        weight_decay: of weight matrices; vectors are not decayed.
        warm_up: share of the steps in which the learning rate rises.
        batch: rows a step.
        max_gradient_norm: larger gradients are scaled down to it.
        averaging: how much of the running average of the weights is kept at each step.
        ridge_penalty: of the ridge regression that the linear layer starts from.
        teacher_share: weight of the teacher's prediction in an excerpt's target, the rest being the human score.
        half_teacher_share: the same in the target of half an excerpt.
    """

    n_frozen: int
    layers: tuple[int, ...]
    epochs: int = 3
    patience: int = 2
    learning_rate: float = 1e-4
    layer_decay: float = 0.8
    weight_decay: float = 0.01
    warm_up: float = 0.1
    batch: int = 16
    max_gradient_norm: float = 1.0
    averaging: float = 0.99
    ridge_penalty: float = 1000.0
    teacher_share: float = 0.7
    half_teacher_share: float = 0.8

    def __post_init__(self) -> None:
        """Refuse layers that would never be computed.

        Raises:
            ValueError: if a layer to average lies among the frozen ones, or there is none.
        """
        if not self.layers or min(self.layers) <= self.n_frozen:
            raise ValueError(f"layers {self.layers} must all lie above the {self.n_frozen} frozen ones")


def default_layers(n_layers: int) -> tuple[int, ...]:
    """Which layers to average, of an encoder that has so many: the lower third and the highest sixth are left out.

    Ease of reading is easiest to read off the middle layers, and what lies above them is never computed.
    """
    lowest = round(n_layers / 3) + 1
    return tuple(range(lowest, max(lowest, round(n_layers * 5 / 6)) + 1))
