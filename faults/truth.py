"""What the right answer to a request is: every text scored beforehand, in this process, without a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages.blend import blend
from readability_triton.stages.pipeline import InProcessPipeline

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Truth:
    """The texts that are sent, and what each model says of them.

    Attributes:
        texts: N texts.
        bert: scores of the encoder, FP32 [N].
        cuml: scores of the forest, FP32 [N].
    """

    texts: Sequence[str]
    bert: Scores
    cuml: Scores

    @classmethod
    def of(cls, texts: Sequence[str], repository: Path) -> "Truth":
        """Score the texts with the artefacts of a model repository.

        Raises:
            OSError, ValueError, RuntimeError or treelite.TreeliteError: if an artefact is missing or malformed.
        """
        stages = InProcessPipeline(repository)
        return cls(texts, *(ask(texts)[:, 0] for ask in (stages.bert, stages.cuml)))

    def blended(self, rows: NDArray[np.intp], weights: Scores) -> Scores:
        """The score of each of these texts, FP32 [B], with its weight, FP32 [B]."""
        blended: Scores = blend(weights, self.bert[rows], self.cuml[rows])
        return blended
