"""Intervals that hold at all times at once: confidence sequences for quantiles and shares of one arm and of two.

All rest on one martingale. If a share x of the requests lies at or below a value in truth, and s of n do so far, then

    M(x) = Beta(a + s, b + n - s) / (Beta(a, b) x^s (1 - x)^(n - s))

is one, and above 1/alpha at any time with probability alpha at most. Howard, Ramdas, "Sequential estimation of
quantiles with applications to A/B testing and best-arm identification" (Bernoulli 28, 2022): the values x for which M
stays below 1/alpha are a confidence sequence; of two independent arms, the product of both martingales is one again.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

PRIOR_SIZE = 400.0
"""a + b for quantiles, a / (a + b) being the quantile's p: narrowest after some thousands of requests."""

GRID = 4001


class Interval(NamedTuple):
    """Holds the true value at all times at once, with the confidence that was asked for."""

    low: float
    high: float

    def met(self, other: "Interval") -> "Interval":
        """What both hold: an interval of the same confidence, as they hold together."""
        return Interval(max(self.low, other.low), min(self.high, other.high))


EVERYTHING = Interval(-math.inf, math.inf)


class QuantileIntervals(NamedTuple):
    """Of two arms' quantiles.

    Attributes:
        ratio: the second over the first.
        difference: the second less the first.
    """

    ratio: Interval
    difference: Interval


def log_martingale(successes: Floats | float, trials: float, share: Floats | float, a: float, b: float) -> Floats:
    """The logarithm of M above."""
    failures = trials - successes
    return (
        special.betaln(a + successes, b + failures)
        - special.betaln(a, b)
        - special.xlogy(successes, share)
        - special.xlog1py(failures, -np.asarray(share))
    )


def quantile_intervals(first: Floats, second: Floats, p: float, alpha: float, independent: bool) -> QuantileIntervals:
    """Intervals for the ratio and the difference of the `p`-quantiles of two arms.

    Args:
        first: positive values without ties, [N].
        second: the same of the other arm, [M].
        p: of the quantile.
        alpha: 1 - confidence.
        independent: whether the arms are; if not, each gets half of `alpha`.
    """
    if not len(first) or not len(second):
        return QuantileIntervals(Interval(0.0, math.inf), EVERYTHING)
    bound = -math.log(alpha) if independent else -math.log(alpha / 2)
    ours, theirs = _Ranks(first, p), _Ranks(second, p)
    at = np.flatnonzero(ours.costs < bound)
    slack = bound - ours.costs[at] if independent else np.full(len(at), bound)
    lowest, highest = theirs.reach(slack)
    low, high = ours.edges[at], ours.edges[at + 1]  # the quantile lies between
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = Interval(_least(lowest / high), _greatest(highest / low))
        return QuantileIntervals(ratio, Interval(_least(lowest - high), _greatest(highest - low)))


def median_interval(values: Floats, alpha: float) -> Interval:
    """An interval for the median of positive values without ties, [N]."""
    if not len(values):
        return Interval(0.0, math.inf)
    ranks = _Ranks(values, 0.5)
    low, high = ranks.reach(np.array([-math.log(alpha)]))
    return Interval(float(low[0]), float(high[0]))


def _least(values: Floats) -> float:
    return float(np.nan_to_num(values, nan=-math.inf, posinf=math.inf, neginf=-math.inf).min())


def _greatest(values: Floats) -> float:
    return float(np.nan_to_num(values, nan=math.inf, posinf=math.inf, neginf=-math.inf).max())


class _Ranks:
    """What it costs to claim that the quantile lies between the s-th and the next of n sorted values.

    Attributes:
        edges: 0, the values, infinity: [n + 2].
        costs: the logarithm of M for s = 0 to n, [n + 1]: least near s = p n, growing to both sides.
    """

    def __init__(self, values: Floats, p: float) -> None:
        n = len(values)
        self.edges = np.concatenate([[0.0], np.sort(values), [math.inf]])
        self.costs = log_martingale(np.arange(n + 1.0), n, p, PRIOR_SIZE * p, PRIOR_SIZE * (1 - p))
        self._least = int(np.argmin(self.costs))

    def reach(self, bounds: Floats) -> tuple[Floats, Floats]:
        """The least and the greatest value that the quantile may have at a cost below each bound."""
        downwards, upwards = self.costs[: self._least + 1][::-1], self.costs[self._least :]
        low = self._least - (np.searchsorted(downwards, bounds) - 1)
        high = self._least + (np.searchsorted(upwards, bounds) - 1)
        reachable = bounds > self.costs[self._least]
        return (
            np.where(reachable, self.edges[np.clip(low, 0, len(self.costs) - 1)], math.inf),
            np.where(reachable, self.edges[np.clip(high, 0, len(self.costs) - 1) + 1], -math.inf),
        )


def share_interval(successes: int, trials: int, alpha: float) -> Interval:
    """An interval for a probability; the prior is Beta(1/2, 1/2)."""
    grid = _grid(successes, trials)
    held = grid[_costs(successes, trials, grid) < -math.log(alpha)]
    return Interval(float(held[0]), float(held[-1]))


def share_difference(first: tuple[int, int], second: tuple[int, int], alpha: float) -> Interval:
    """An interval for the difference of the probabilities of two independent arms, each by successes and trials."""
    ours, theirs = _grid(*first), _grid(*second)
    costs, other = _costs(*first, ours), _costs(*second, theirs)
    least = int(np.argmin(other))
    slack = -math.log(alpha) - costs
    held = slack > other[least]
    ours, slack = ours[held], slack[held]
    low = least - (np.searchsorted(other[: least + 1][::-1], slack) - 1)
    high = least + (np.searchsorted(other[least:], slack) - 1)
    return Interval(float((theirs[low] - ours).min()), float((theirs[high] - ours).max()))


def _grid(successes: int, trials: int) -> Floats:
    """Probabilities, dense about the observed share, with the ends and the share itself."""
    middle = (successes + 0.5) / (trials + 1)
    spread = 12 * math.sqrt(middle * (1 - middle) / (trials + 1)) + 40 / (trials + 1)
    near = np.linspace(max(0.0, middle - spread), min(1.0, middle + spread), GRID)
    observed = [successes / trials] if trials else []
    return np.unique(np.concatenate([np.linspace(0.0, 1.0, 201), near, observed]))


def _costs(successes: int, trials: int, shares: Floats) -> Floats:
    return np.nan_to_num(log_martingale(float(successes), trials, shares, 0.5, 0.5), nan=math.inf, posinf=math.inf)
