"""The three stages over NumPy, with a record of what was asked of them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bls.stages import Prepared, StageError


class Recorder:
    """`bls.stages.Stages` that any text passes through as its length (bert) and its first byte (cuml).

    Attributes:
        calls: stage and rows of every call, in order.
        poison: preprocess fails for every call that holds this text.
        broken: stages that fail for every call.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.poison: bytes | None = None
        self.broken: set[str] = set()

    async def preprocess(self, excerpts: NDArray[Any]) -> Prepared:
        self._record("preprocess", excerpts)
        texts = excerpts.ravel().tolist()
        if self.poison in texts:
            raise StageError("preprocess", "cannot swallow this")
        ids = np.array([[len(text), text[0]] for text in texts], dtype=np.int64)
        return Prepared(ids, np.ones_like(ids), ids.astype(np.float32))

    async def bert(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        self._record("bert-large", ids)
        return (ids * mask)[:, :1].astype(np.float32)

    async def cuml(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        self._record("cuml", features)
        return features[:, 1:]

    def _record(self, stage: str, tensor: NDArray[Any]) -> None:
        self.calls.append((stage, len(tensor)))
        if stage in self.broken:
            raise StageError(stage, "out of order")


@pytest.fixture
def stages() -> Recorder:
    return Recorder()
