"""What every fit of a run shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.encoder import PooledEncoder
from training.base_encoder import BaseEncoder
from training.compute import Compute
from training.corpus import Corpus
from training.fine_tuning import FineTuning
from training.lower_states import LowerStates
from training.recipe import Recipe
from training.teacher import teach


@dataclass(frozen=True)
class Task:
    """With a teacher, `states` go on with the first and then the second halves of the excerpts."""

    corpus: Corpus
    base: BaseEncoder
    encoder: PooledEncoder
    states: LowerStates
    teacher: NDArray[np.float32] | None
    recipe: Recipe
    compute: Compute
    seed: int

    def learned_from(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of `states` that a fit of these excerpts goes through in an epoch."""
        if self.teacher is None:
            return rows
        return np.concatenate([rows + part * len(self.corpus.texts) for part in range(3)])

    def start(self, rows: NDArray[np.int64]) -> FineTuning:
        """A fit of these excerpts before its first epoch."""
        targets = self.corpus.targets
        if self.teacher is not None:
            means = np.hstack([self.teacher, self.states.means])
            targets = teach(means, targets, self.corpus.urls, rows, self.recipe, self.seed)
        learned_from = self.learned_from(rows)
        return FineTuning(self.encoder, self.states, learned_from, targets, self.recipe, self.compute, self.seed)
