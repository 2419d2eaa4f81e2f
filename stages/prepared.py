"""The interface of stage `preprocess`, which `stages/preprocess.py` and `stages/device/preprocess.py` implement.

It needs neither a tokenizer nor a GPU: `bls` reads it too.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from readability_triton.stages.arrays import Array

TOKENIZER, FEATURES = "tokenizer.json", "features.json"
"""Artefacts of the stage, in the model's version folder."""


class Prepared(NamedTuple):
    """What the two scorers read of B texts; in the server Triton's tensors, in the stages arrays.

    Attributes:
        ids: INT64 [B, L].
        mask: INT64 [B, L].
        features: FP32 [B, 207].
    """

    ids: Array
    mask: Array
    features: Array

    def rows(self, start: int, end: int) -> "Prepared":
        """A part of the rows, of arrays."""
        return Prepared(*(array[start:end] for array in self))


class Preprocess(Protocol):
    """Makes token ids, attention mask and features of texts."""

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Ids, mask and features of `texts`."""
