"""Fit the linear layer on a frozen encoder."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from tokenizers import Tokenizer

from stages.encoder import PooledEncoder
from stages.tokens import tokenize

EMBED_BATCH = 16
N_POOLED_LAYERS = 4


def middle_layers(n_layers: int) -> tuple[int, ...]:
    """Up to four layers, evenly spaced over the lower two thirds, where ease of reading is easiest to read off."""
    highest = max(1, round(n_layers * 2 / 3))
    return tuple(sorted({max(1, round(highest * part / N_POOLED_LAYERS)) for part in range(1, N_POOLED_LAYERS + 1)}))


def embed(
    encoder: PooledEncoder, tokenizer: Tokenizer, texts: Sequence[str], advance: Callable[[int], None]
) -> NDArray[np.float32]:
    """Pooled hidden states FP32 [N, layers * hidden] of `texts`; `advance` is told how many more are done."""
    means = np.empty((len(texts), encoder.head.in_features), dtype=np.float32)
    by_length = np.argsort([len(text) for text in texts], kind="stable")
    with torch.inference_mode():
        for start in range(0, len(texts), EMBED_BATCH):
            rows = by_length[start : start + EMBED_BATCH]
            ids, mask = map(torch.from_numpy, tokenize([texts[row] for row in rows], tokenizer))
            width = int(mask.sum(dim=1).max())
            means[rows] = encoder.pool(ids[:, :width], mask[:, :width]).numpy()
            advance(len(rows))
    return means


class Head:
    """A ridge regression on standardised inputs, folded into one weight vector and a bias."""

    def __init__(self, weight: NDArray[np.float32], bias: float) -> None:
        self.weight = weight
        self.bias = bias

    @classmethod
    def fit(cls, means: NDArray[np.float32], targets: NDArray[np.float64], alpha: float) -> "Head":
        """Fit on pooled hidden states [N, F] and targets [N]; `alpha` is the ridge penalty."""
        center, scale = means.mean(axis=0), means.std(axis=0)
        scale = np.where(scale > 1e-6, scale, 1.0)
        ridge = Ridge(alpha=alpha).fit((means - center) / scale, targets)
        weight = ridge.coef_ / scale
        return cls(weight.astype(np.float32), float(ridge.intercept_ - weight @ center))

    def predict(self, means: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores [N] of pooled hidden states [N, F]."""
        return means @ self.weight + self.bias
