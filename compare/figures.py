"""Percentiles and throughput of two arms, their difference and ratio, and how sure one may be of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from readability_triton.compare.load import Block

PERCENTILES = (50, 90, 95, 99)
N_RESAMPLES = 2000
REQUESTS_BEYOND = 10
"""A percentile is only shown where at least so many requests are expected beyond it: 1,000 for the 99th."""


@dataclass(frozen=True)
class Interval:
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def excludes(self, nothing: float) -> bool:
        """Whether the interval lies on one side of `nothing`."""
        return self.low > nothing or self.high < nothing

    @property
    def reach(self) -> float:
        """The farthest that the interval goes from zero."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Compared:
    """One figure of both arms: `difference` is the second less the first, `ratio` the second by the first."""

    first: float
    second: float
    difference: Interval
    ratio: Interval


def latencies(blocks: Sequence[Block]) -> NDArray[np.float64]:
    """Seconds of every request that counts in some blocks."""
    return np.array([sample.latency for block in blocks for sample in block.counted])


def throughput(blocks: Sequence[Block]) -> float:
    """Answered requests a second over some blocks."""
    return sum(len(block.counted) for block in blocks) / sum(block.counted_seconds for block in blocks)


def shown_percentiles(n_requests: int) -> list[int]:
    """The percentiles that this many requests can estimate; the median always."""
    return [p for p in PERCENTILES if p == 50 or n_requests * (100 - p) / 100 >= REQUESTS_BEYOND]


def compare_latency(
    first: Sequence[Block], second: Sequence[Block], percentiles: Sequence[float], confidence: float = 0.95
) -> list[Compared]:
    """Latency percentiles, in seconds, of two arms whose blocks of the same number ran one after the other."""
    parts = [[latencies([block]) for block in blocks] for blocks in (first, second)]

    def figures(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.array([np.percentile(np.concatenate([part[at] for at in chosen]), percentiles) for part in parts])

    return _compare(len(first), figures, confidence)


def compare_throughput(first: Sequence[Block], second: Sequence[Block], confidence: float = 0.95) -> Compared:
    """Answered requests a second."""
    counts = np.array([[len(block.counted) for block in blocks] for blocks in (first, second)])
    seconds = np.array([[block.counted_seconds for block in blocks] for blocks in (first, second)])

    def figures(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        return (counts[:, chosen].sum(axis=1) / seconds[:, chosen].sum(axis=1))[:, None]

    return _compare(len(first), figures, confidence)[0]


def compare_beside(first: Sequence[Block], second: Sequence[Block], confidence: float = 0.95) -> Compared:
    """Texts a second that the other client of a load `Beside` got scores for."""
    texts = np.array([[block.beside for block in blocks] for blocks in (first, second)])
    seconds = np.array([[block.seconds for block in blocks] for blocks in (first, second)])

    def figures(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        return (texts[:, chosen].sum(axis=1) / seconds[:, chosen].sum(axis=1))[:, None]

    return _compare(len(first), figures, confidence)[0]


def _compare(
    n_blocks: int, figures: Callable[[NDArray[np.intp]], NDArray[np.float64]], confidence: float
) -> list[Compared]:
    """Bootstrap over blocks: requests of a block share what the machine was busy with, so they are not independent.

    Args:
        n_blocks: of each arm.
        figures: from chosen blocks to figures of both arms [2, F].
        confidence: of each interval.
    """
    value = figures(np.arange(n_blocks))

    def differences_and_ratios(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        one, other = figures(chosen)
        return np.concatenate([other - one, other / one])

    resampled = stats.bootstrap(
        (np.arange(n_blocks),),
        differences_and_ratios,
        vectorized=False,
        method="percentile",
        n_resamples=N_RESAMPLES,
        confidence_level=_expanded(confidence, n_blocks),
        random_state=0,
    ).confidence_interval
    values = np.concatenate([value[1] - value[0], value[1] / value[0]])
    intervals = [Interval(*map(float, each)) for each in zip(values, *resampled, strict=True)]
    n_figures = value.shape[1]
    return [
        Compared(float(value[0, at]), float(value[1, at]), intervals[at], intervals[n_figures + at])
        for at in range(n_figures)
    ]


def _expanded(confidence: float, n: int) -> float:
    """The level at which a percentile interval over `n` blocks holds `confidence`; it is too narrow for small `n`.

    Hesterberg, What Teachers Should Know About the Bootstrap (2015), "expanded percentile interval".
    """
    tail = (1 - confidence) / 2
    return float(1 - 2 * stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1)))
