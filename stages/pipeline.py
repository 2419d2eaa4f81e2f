"""All stages in one process, from built artefacts: the truth that served scores are held against."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readability_triton.stages import encoder, features, forest, tokens
from readability_triton.stages.blend import blend


class InProcessPipeline:
    """The models of a repository, called directly.

    Args:
        repository: the model repository, built.

    Raises:
        OSError, ValueError, RuntimeError or treelite.TreeliteError: if an artefact is missing or malformed.
    """

    def __init__(self, repository: Path) -> None:
        self.tokenizer = tokens.load_tokenizer(repository / "preprocess" / "1" / "tokenizer.json")
        self.spec = features.FeatureSpec.load(repository / "preprocess" / "1" / "features.json")
        self.encoder = encoder.load_encoder(repository / "bert-large" / "1" / "model.pt")
        self.forest = forest.load_forest(repository / "cuml" / "1" / "checkpoint.tl")

    def bert(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Scores of the encoder: FP32 [B, 1]."""
        return encoder.predict(self.encoder, *tokens.tokenize(texts, self.tokenizer))

    def cuml(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Scores of the forest: FP32 [B, 1]."""
        return forest.predict(self.forest, features.extract(texts, self.spec))

    def score(self, texts: Sequence[str], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Blended scores, FP32 [B, 1], of B texts with weights FP32 [B, 1]."""
        return blend(weights, self.bert(texts), self.cuml(texts))
