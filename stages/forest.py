"""Stage `cuml`: a forest over the 207 features, as a Treelite model."""

from pathlib import Path

import numpy as np
import treelite
from numpy.typing import NDArray


def load_forest(checkpoint: Path) -> treelite.Model:
    """Read a serialized Treelite model (`checkpoint.tl`).

    Raises:
        treelite.TreeliteError: if the file is missing or not a checkpoint.
    """
    return treelite.Model.deserialize(str(checkpoint))


def n_outputs(forest: treelite.Model) -> int:
    """How many numbers the forest gives for a row: 1 for a regression, the classes for a classification."""
    header = forest.get_header_accessor()
    return int(header.get_field("num_target")[0]) * int(header.get_field("num_class").max())


def predict(forest: treelite.Model, features: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
    """Scores of normalised features: FP32 [B, 207] to FP32 [B, 1].

    The trees compare in FP64 where they were trained so; every FP32 is exactly an FP64, so nothing is lost.
    """
    dtype = np.float64 if forest.input_type == "float64" else np.float32
    scores = treelite.gtil.predict(forest, features.astype(dtype), nthread=threads)
    return scores.reshape(-1, 1).astype(np.float32)
