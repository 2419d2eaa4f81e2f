"""Evidence that may be looked at after every request: e-processes, by betting against "the candidate is no worse".

An e-process starts at 1 and, while the null hypothesis holds, is above 1/alpha at any time with a probability of at
most alpha (Ville's inequality), however often it is looked at. Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic
statistics and safe anytime-valid inference" (2023) is the survey.

Two arms: at every request the bettor guesses its arm from whether its time is above a threshold, the quantile of all
times before it; for arms that do not differ there the guess is worth nothing. The odds are those of a two-by-two table
(Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests", 2024), given the value rather than the
arm: so the times need not be alike over the day, only the arms must be drawn independently of them.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EFFECTS = ((0.5, 0.1), (1.2, 0.8), (4.0, 0.1))
"""Bets on several effects, as multiples of the logarithm of the ratio to find, with their share of the stake."""

EPOCH = 1.1
"""Thresholds and odds are fixed until there is so many times as much data."""

FIRST = 20
"""Requests before the first bet."""

LEAST_BEYOND = 4
"""Of them, at least so many must lie beyond the threshold."""

IN_WINDOW = 20
"""Requests near the threshold from which its density is read."""

ODDS_OF_ERRORS = (1.5, 3.0, 10.0, 100.0)


def log_e_of_quantile(values: Floats, is_candidate: Bools, shares: Floats, p: float, detect: float) -> Floats:
    """Evidence that the candidate's times lie above the `p`-quantile of all more often than the other arm's.

    Args:
        values: times [N], in the order of the requests.
        is_candidate: which arm [N].
        shares: the probability of the candidate's arm that the request was drawn with, [N].
        p: of the quantile.
        detect: the ratio of times, such as 1.1, for which the bets are best.

    Returns:
        The logarithm of the e-process after each request, [N].
    """
    weights = np.log([weight for _, weight in EFFECTS])
    steps = np.zeros((len(EFFECTS), len(values)))
    for start, end in _epochs(len(values), p):
        past = values[:start]
        threshold = float(np.quantile(past, p))
        part = slice(start, end)
        for row, (multiple, _) in enumerate(EFFECTS):
            tilt = _tilt(past, threshold, p, detect**multiple)
            steps[row, part] = _gains(values[part] > threshold, is_candidate[part], shares[part], 1 - p, tilt)
    return special.logsumexp(np.cumsum(steps, axis=1) + weights[:, None], axis=0)


def log_e_of_errors(is_wrong: Bools, is_candidate: Bools, shares: Floats) -> Floats:
    """Evidence that the candidate's answers are wrong more often; see `log_e_of_quantile`."""
    steps = np.zeros((len(ODDS_OF_ERRORS), len(is_wrong)))
    for start, end in _epochs(len(is_wrong), 0.5):
        base = (is_wrong[:start].sum() + 0.5) / (start + 1)
        part = slice(start, end)
        for row, odds in enumerate(ODDS_OF_ERRORS):
            steps[row, part] = _gains(is_wrong[part], is_candidate[part], shares[part], base, math.log(odds))
    return special.logsumexp(np.cumsum(steps, axis=1) - math.log(len(ODDS_OF_ERRORS)), axis=0)


def log_e_of_pairs(first: Floats, second: Floats, p: float) -> Floats:
    """Evidence that `second` lies above the `p`-quantile of all more often than `first`, from pairs [N] of one request.

    Of pairs that lie on both sides of the threshold, each way is as likely as the other if nothing differs.
    """
    over, under = np.zeros((2, len(first)))
    for start, end in _epochs(len(first), p):
        threshold = float(np.quantile(np.concatenate([first[:start], second[:start]]), p))
        part = slice(start, end)
        over[part] = (second[part] > threshold) & (first[part] <= threshold)
        under[part] = (first[part] > threshold) & (second[part] <= threshold)
    return log_e_above(np.cumsum(over), np.cumsum(over + under), 0.5)


def log_e_above(successes: Floats, trials: Floats, share: float, prior: tuple[float, float] = (0.5, 0.5)) -> Floats:
    """Evidence that the probability of a success is above `share`: a mixture over all that are.

    Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (2021), the
    one-sided beta-binomial mixture: with B(a, b) restricted to (share, 1) as the prior,
    log of ∫ x^s (1-x)^f dB / (share^s (1-share)^f).

    Args:
        successes: s, after each request.
        trials: s + f.
        share: of the null hypothesis.
        prior: a, b.
    """
    a, b = prior
    failures = trials - successes
    with np.errstate(divide="ignore"):
        tail = np.log(special.betaincc(a + successes, b + failures, share)) - math.log(special.betaincc(a, b, share))
    likelihood = special.xlogy(successes, share) + special.xlog1py(failures, -share)
    return special.betaln(a + successes, b + failures) - special.betaln(a, b) + tail - likelihood


def _epochs(n: int, p: float) -> list[tuple[int, int]]:
    start = max(FIRST, math.ceil(LEAST_BEYOND / min(p, 1.0 - p)))
    edges = []
    while start < n:
        end = min(n, max(start + 1, int(start * EPOCH)))
        edges.append((start, end))
        start = end
    return edges


def _tilt(past: Floats, threshold: float, p: float, ratio: float) -> float:
    """The log odds ratio at the threshold of two arms whose times differ by `ratio`, by the density of the past."""
    width = ratio
    while True:
        near = float(np.mean((past > threshold / math.sqrt(width)) & (past <= threshold * math.sqrt(width))))
        if near * len(past) >= IN_WINDOW or width > 16 * ratio:
            break
        width *= width
    gap = min(near * math.log(ratio) / math.log(width), p, 1 - p)
    return float(special.logit(p + gap / 2) - special.logit(p - gap / 2))


def _gains(beyond: Bools, is_candidate: Bools, shares: Floats, base: float, tilt: float) -> Floats:
    """Logarithms of what bets on the arm of each request gain, [N]; their expectation is 1 if arms do not differ.

    Args:
        beyond: whether the request is beyond the threshold.
        is_candidate: its arm.
        shares: the probability of the candidate's arm.
        base: probability of `beyond`.
        tilt: the log odds ratio of both arms that is bet on.
    """
    odds = special.logit(base)
    candidates = special.expit(odds + tilt * (1 - shares))
    others = special.expit(odds - tilt * shares)
    likely = np.where(beyond, candidates, 1 - candidates), np.where(beyond, others, 1 - others)
    both = shares * likely[0] + (1 - shares) * likely[1]
    return np.log(np.where(is_candidate, likely[0], likely[1]) / both)
