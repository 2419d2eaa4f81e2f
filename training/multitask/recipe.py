"""The settings of a multi-task training; why each has its value is in docs/train.md."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from readability_triton.training.multitask.stacked_encoder import Layers

DEFAULT_RECIPE = Path(__file__).parents[1] / "bundles" / "minilm" / "recipe.toml"
"""The recipe of the bundle that comes with the project."""


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


@dataclass(frozen=True)
class Model:
    """A kind of model and how it is fitted: a table of the recipe file.

    Attributes:
        layers: which are computed, tuned and pooled.
        fit: the settings of each fit.
    """

    layers: Layers
    fit: MultitaskRecipe


@dataclass(frozen=True)
class TrainingRecipe:
    """The contents of a recipe file.

    Attributes:
        student: the model that is served.
        teacher: the models that label the texts; not used where no teacher is named.
        seeds: students fitted on all folds, whose weights are averaged.
        pairs: pairs that are composed of the sentences with simplifications.
    """

    student: Model
    teacher: Model
    seeds: int = 3
    pairs: int = 8000

    def __post_init__(self) -> None:
        """Refuse a training without a student.

        Raises:
            ValueError: if there is no seed.
        """
        if self.seeds < 1:
            raise ValueError(f"seeds = {self.seeds}: at least one student is needed")


def read_recipe(path: Path = DEFAULT_RECIPE) -> TrainingRecipe:
    """Read a recipe in TOML: keys are the attributes of the classes above, nested as these are.

    Raises:
        ValueError: if it is not TOML, a key is unknown or missing, or a value is of the wrong type.
        OSError: if it cannot be read.
    """
    try:
        return _read(TrainingRecipe, tomllib.loads(path.read_text(encoding="utf-8")), "")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(kind: Any, table: Mapping[str, Any], where: str) -> Any:
    types = get_type_hints(kind)
    unknown = sorted(set(table) - set(types))
    if unknown:
        raise ValueError(f"unknown key {where}{unknown[0]}; known are {', '.join(each.name for each in fields(kind))}")
    values = {name: _value(types[name], value, f"{where}{name}") for name, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where or 'recipe: '}{error}") from error


def _value(wanted: Any, value: Any, name: str) -> Any:
    if is_dataclass(wanted) and isinstance(value, dict):
        return _read(wanted, value, f"{name}.")
    if wanted == tuple[int, ...] and isinstance(value, list) and all(type(each) is int for each in value):
        return tuple(value)
    if wanted is float and type(value) in (int, float):
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"{name} = {value!r} is not of type {getattr(wanted, '__name__', wanted)}")
    return value
