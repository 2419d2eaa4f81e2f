"""Simulated requests whose truth is known; as a program, the table of docs/watch.md."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from readability_triton.watch import betting
from readability_triton.watch.records import Arms, Pairs
from readability_triton.watch.sequences import quantile_intervals

Floats = NDArray[np.float64]

SIGMA = 0.4
"""Of the logarithm of times: p99 is 2.5 times p50."""

SIGMA_OF_A_RUN = 0.1
"""Of it, what differs between two runs of the same request."""

ALPHA, N_STREAMS = 0.05, 500
REGRESSION = 1.1
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
WRONG = 0.02


def arms(seed: int, n: int, ratio: float = 1.0, share: float = 0.5, more_wrong: float = 0.0) -> Arms:
    """N requests of two arms, the candidate's times `ratio` times as long."""
    rng = np.random.default_rng(seed)
    is_candidate = rng.random(n) < share
    times = 30 * np.exp(SIGMA * rng.standard_normal(n)) * np.where(is_candidate, ratio, 1.0)
    is_wrong = rng.random(n) < WRONG + more_wrong * is_candidate
    return Arms(("ensemble_all", "bls_pipeline"), is_candidate, np.full(n, share), times, is_wrong)


def pairs(seed: int, n: int, ratio: float = 1.0, wrong: float = 0.0) -> Pairs:
    """N requests that were run twice."""
    rng = np.random.default_rng(seed)
    request = 30 * np.exp(math.sqrt(SIGMA**2 - SIGMA_OF_A_RUN**2) * rng.standard_normal(n))
    first, second = request * np.exp(SIGMA_OF_A_RUN * rng.standard_normal((2, n)))
    return Pairs(("ensemble_all", "parallel"), rng.random(n) < wrong, first, ratio * second)


def fixed_length(p: float, power: float, ratio: float = REGRESSION, alpha: float = ALPHA) -> float:
    """Requests of two equal arms after which a one-sided test of the `p`-quantile, looked at once, has this power.

    The test compares how many of each arm lie above the quantile of both, which is as powerful as one that compares
    the quantiles; its variance is p (1 - p) / n an arm.
    """
    middle, half = stats.norm.ppf(p), math.log(ratio) / SIGMA / 2
    gap = stats.norm.cdf(middle + half) - stats.norm.cdf(middle - half)
    return 4 * p * (1 - p) * (stats.norm.ppf(1 - alpha) + stats.norm.ppf(power)) ** 2 / gap**2


def evidence(data: Arms, p: float) -> Floats:
    """After each request."""
    return betting.log_e_of_quantile(data.milliseconds, data.is_candidate, data.shares, p, REGRESSION)


def first_above(log_e: Floats, alpha: float = ALPHA) -> float:
    """After how many requests the alarm goes off; infinite if never."""
    found = np.flatnonzero(log_e >= -math.log(alpha))
    return float(found[0] + 1) if len(found) else math.inf


def first_interval_above_one(data: Arms, p: float, looks: int = 80) -> float:
    """After how many requests the confidence sequence lies above 1, looked at `looks` times."""
    for n in np.unique(np.geomspace(100, len(data.milliseconds), looks).astype(int)):
        arm, times = data.is_candidate[:n], data.milliseconds[:n]
        if quantile_intervals(times[~arm], times[arm], p, 2 * ALPHA, True).ratio.low > 1:
            return float(n)
    return math.inf


def median(stops: Iterator[float]) -> float:
    return float(np.median(list(stops)))


def table(n_streams: int = N_STREAMS) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| measure | false alarms | fixed length | alarm | of it | interval | of it | pairs | of it |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for name, p in QUANTILES.items():
        low, high = fixed_length(p, 0.8), fixed_length(p, 0.95)
        n = int(2.5 * high)
        false = sum(first_above(evidence(arms(seed, n), p)) < math.inf for seed in range(n_streams))
        found = median(first_above(evidence(arms(seed, n, REGRESSION), p)) for seed in range(n_streams))
        seen = median(first_interval_above_one(arms(seed, 4 * n, REGRESSION), p) for seed in range(n_streams // 10))
        paired = median(_first_of_pairs(seed, n, p) for seed in range(n_streams))
        of = [f"{value / low:.2f} / {value / high:.2f}" for value in (found, seen, 2 * paired)]
        yield (
            f"| {name} | {false / n_streams:.1%} | {low:,.0f} / {high:,.0f} | {found:,.0f} | {of[0]} | "
            f"{seen:,.0f} | {of[1]} | {2 * paired:,.0f} | {of[2]} |"
        )
    ratio = median(_first_of_ratios(seed) for seed in range(n_streams))
    false = sum(_first_of_ratios(seed, 1.0, 4000) < math.inf for seed in range(n_streams)) / n_streams
    low, high = fixed_length(0.5, 0.8), fixed_length(0.5, 0.95)
    yield f"| pair | {false:.1%} | | | | | | {2 * ratio:,.0f} | {2 * ratio / low:.2f} / {2 * ratio / high:.2f} |"


def _first_of_pairs(seed: int, n: int, p: float) -> float:
    data = pairs(seed, n, REGRESSION)
    return first_above(betting.log_e_of_pairs(data.first, data.second, p))


def _first_of_ratios(seed: int, ratio: float = REGRESSION, n: int = 2000) -> float:
    data = pairs(seed, n, ratio)
    slower = np.cumsum(data.second > data.first)
    return first_above(betting.log_e_above(slower, np.arange(1.0, n + 1), 0.5))


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
