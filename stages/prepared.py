"""What `preprocess` makes of texts. A file of its own: `bls` needs it without a tokenizer."""

from typing import NamedTuple

from stages.arrays import Array


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
