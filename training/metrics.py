"""How good scores are, with intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

N_RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval at the 95 % level."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metrics:
    """Root-mean-squared error, Pearson's r and Spearman's rho of one scorer."""

    rmse: Estimate
    pearson: Estimate
    spearman: Estimate


def rmse(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Root-mean-squared error."""
    return float(np.sqrt(np.square(scores - targets).mean()))


def pearson(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Pearson's correlation; NaN where either side is constant."""
    return float(np.corrcoef(scores, targets)[0, 1])


def spearman(scores: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; NaN where either side is constant."""
    return pearson(stats.rankdata(scores), stats.rankdata(targets))


def measure(scores: NDArray[np.float64], targets: NDArray[np.float64], urls: list[str], seed: int = 0) -> Metrics:
    """All three figures of scores [N] against targets [N].

    The intervals are percentile bootstraps that resample whole sources, since excerpts of one source are alike
    (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
    """
    _, source = np.unique(urls, return_inverse=True)
    by_source = np.split(np.argsort(source, kind="stable"), np.cumsum(np.bincount(source))[:-1])
    rng = np.random.default_rng(seed)
    figures = (rmse, pearson, spearman)
    resampled = np.empty((N_RESAMPLES, len(figures)))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [figure(scores, targets) for figure in figures]
        for draw in resampled:
            rows = np.concatenate([by_source[pick] for pick in rng.integers(len(by_source), size=len(by_source))])
            draw[:] = [figure(scores[rows], targets[rows]) for figure in figures]
        low, high = np.nanquantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Metrics(*(Estimate(*numbers) for numbers in zip(values, low.tolist(), high.tolist(), strict=True)))
