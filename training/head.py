"""The linear layer that reads a score off pooled hidden states."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge


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
