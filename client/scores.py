"""What a call of the scorer gives back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Scores of N texts, in the order of the texts.

    Attributes:
        values: FP32 [N], higher is easier.
        answered_by: N names of the model that answered for each.
    """

    values: NDArray[np.float32]
    answered_by: tuple[str, ...]

    @classmethod
    def joined(cls, parts: "list[Scores]") -> "Scores":
        """The scores of several requests, one after the other."""
        values = [part.values for part in parts]
        names = tuple(name for part in parts for name in part.answered_by)
        return cls(np.concatenate(values) if values else np.empty(0, dtype=np.float32), names)
