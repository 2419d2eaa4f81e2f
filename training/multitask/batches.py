"""Batches for K models: each draws from its own texts, and all widths of a step are alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SORTED_TOGETHER = 8
"""Batches that are sorted by length together: more leave less padding, and batches that are less alike."""


class Batches:
    """Endless batches; every text of a pool comes once before any comes again, but for where two rounds meet.

    Args:
        pools: K arrays of texts, none empty.
        size: texts a batch and model.
        lengths: of all texts, INT64 [U].
        seed: of every order.

    Raises:
        ValueError: if a pool is empty.
    """

    def __init__(self, pools: Sequence[NDArray[np.int64]], size: int, lengths: NDArray[np.int64], seed: int) -> None:
        empty = [model for model, pool in enumerate(pools) if not len(pool)]
        if empty:
            raise ValueError(f"model {empty[0]} has no text to draw from")
        self.size = size
        self._pools, self._lengths = pools, lengths
        self._order = np.random.default_rng([seed, len(pools)])
        self._random = [np.random.default_rng([seed, len(pools), model]) for model in range(len(pools))]
        self._left = [np.empty(0, np.int64) for _ in pools]
        self._ready: list[NDArray[np.int64]] = []

    def next(self) -> NDArray[np.int64]:
        """Texts INT64 [K, size]."""
        if not self._ready:
            drawn = np.stack([self._draw(model) for model in range(len(self._pools))], axis=1)
            self._ready = [drawn[at] for at in self._order.permutation(SORTED_TOGETHER)]
        return self._ready.pop()

    def _draw(self, model: int) -> NDArray[np.int64]:
        """The next batches of one model, shortest texts first: INT64 [SORTED_TOGETHER, size]."""
        wanted = self.size * SORTED_TOGETHER
        while len(self._left[model]) < wanted:
            again = self._random[model].permutation(self._pools[model])
            self._left[model] = np.concatenate([self._left[model], again])
        drawn, self._left[model] = np.split(self._left[model], [wanted])
        return drawn[np.argsort(self._lengths[drawn], kind="stable")].reshape(SORTED_TOGETHER, self.size)
