"""How often requests take longer than a bound, as a function of the rate; and the rate at which that is often enough.

The share of requests over the bound is p(rate) = exp(a + b rate): exact for M/M/1, where P(T > d) = exp(-(mu - rate) d)
(Kleinrock, Queueing Systems, volume 1, 1975, section 3.2), and in the limit of large d for M/G/1 near any one rate
(Cramér-Lundberg). It is fitted as a Poisson regression of counts with the variance taken from the scatter of segments
and of whole probes ("modified Poisson regression": Zou, American Journal of Epidemiology 159, 2004), since requests of
one busy period exceed a bound together, and so do those that meet a machine which is busy with something else. Firth's
correction (Biometrika 80, 1993) keeps the fit finite where a probe has no exceedance. The interval of the rate is
Fieller's (Journal of the Royal Statistical Society B 16, 1954): it has no end where the slope cannot be told from zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_ITERATIONS = 100
_STEEPEST = 200.0
"""Of the slope over a relative change of the rate: a factor of two in the share by a change of 0.35 %."""


@dataclass(frozen=True)
class Segment:
    """A part of a probe.

    Attributes:
        rate: of the probe, requests a second.
        requests: that came due in it.
        exceeded: those of them that took longer than the bound, failed or were not sent.
    """

    rate: float
    requests: int
    exceeded: int


@dataclass(frozen=True)
class RateInterval:
    """A rate with its interval; `high` is infinite, `low` zero, where the data give no such end."""

    rate: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half the interval's width, as a share of the rate."""
        return (self.high - self.low) / 2 / self.rate


def rate_at(share: float, probes: Sequence[Sequence[Segment]], confidence: float = 0.95) -> RateInterval | None:
    """The rate at which a share of requests takes longer than the bound.

    Args:
        share: between 0 and 1.
        probes: the segments of each; at two different rates at least.
        confidence: of the interval.

    Returns:
        None if the share does not rise with the rate, so that there is no such rate.
    """
    segments = [segment for probe in probes for segment in probe]
    owner = np.repeat(np.arange(len(probes)), [len(probe) for probe in probes])
    rates, requests, exceeded = (np.array(each, dtype=float) for each in zip(*map(_row, segments), strict=True))
    unit = float(np.average(rates, weights=requests))
    x = np.column_stack([np.ones(len(rates)), rates / unit - 1])
    found = _fit(x, requests, exceeded)
    if found is None or found[1] <= 0:
        return None
    at = (math.log(share) - found[0]) / found[1]
    expected = requests * np.exp(x @ found)
    inverse = np.linalg.inv((x * expected[:, None]).T @ x)
    scores = x * (exceeded - expected)[:, None]
    covariance, freedom = _covariance(inverse, scores, owner, np.array([1.0, at]))
    t = float(stats.t.ppf((1 + confidence) / 2, freedom))
    low, high = _fieller(found[0] - math.log(share), found[1], covariance, t)
    return RateInterval(unit * (1 + at), max(0.0, unit * (1 + low)), unit * (1 + high))


def _row(segment: Segment) -> tuple[float, int, int]:
    return segment.rate, segment.requests, segment.exceeded


def _fit(
    x: NDArray[np.float64], requests: NDArray[np.float64], exceeded: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Coefficients [2] of the log-linear model; None if there is no finite one."""
    coefficients = np.array([math.log((exceeded.sum() + 0.5) / (requests.sum() + 1)), 1.0])
    for _ in range(_ITERATIONS):
        expected = requests * np.exp(np.clip(x @ coefficients, -50, 5))
        information = (x * expected[:, None]).T @ x
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1e13:
            return None
        leverage = expected * np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x)
        step = np.linalg.solve(information, x.T @ (exceeded + leverage / 2 - expected))
        coefficients = coefficients + step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if abs(coefficients[1]) > _STEEPEST:
            return None
        if np.abs(step).max() < 1e-9:
            break
    return coefficients


def _covariance(
    inverse: NDArray[np.float64], scores: NDArray[np.float64], owner: NDArray[np.intp], at: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int]:
    """The largest at `at` of three, with its degrees of freedom: of independent counts, and by scatter of two kinds.

    Args:
        inverse: of the information [2, 2].
        scores: of the segments [N, 2].
        owner: the number of each segment's probe [N].
        at: where, [2].
    """
    of_probes = np.array([scores[owner == probe].sum(axis=0) for probe in np.unique(owner)])
    found = [(inverse, max(1, len(scores) - 2))]
    for each in (scores, of_probes):
        freedom = max(1, len(each) - 2)
        found.append((inverse @ (each.T @ each) @ inverse * len(each) / freedom, freedom))
    return max(found, key=lambda each: float(at @ each[0] @ at))


def _fieller(intercept: float, slope: float, covariance: NDArray[np.float64], t: float) -> tuple[float, float]:
    """Where intercept + slope x may be zero."""
    (v_aa, v_ab), (_, v_bb) = covariance
    square = slope**2 - t**2 * v_bb
    middle = intercept * slope - t**2 * v_ab
    rest = intercept**2 - t**2 * v_aa
    inside = middle**2 - square * rest
    if square <= 0 or inside < 0:
        return -math.inf, math.inf
    return (-middle - math.sqrt(inside)) / square, (-middle + math.sqrt(inside)) / square
