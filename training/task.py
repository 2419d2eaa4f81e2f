"""What every fit of a run shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.base_encoder import BaseEncoder
from readability_triton.training.compute import Compute
from readability_triton.training.corpus import Corpus
from readability_triton.training.fine_tuning import FineTuning
from readability_triton.training.lower_states import LowerStates
from readability_triton.training.recipe import Recipe
from readability_triton.training.teacher import teach


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
