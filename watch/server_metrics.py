"""The counters of policy `shadow` on a server's metrics endpoint, and what follows from counts alone."""

import math
import re
import ssl
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from readability_triton.watch.betting import log_e_above
from readability_triton.watch.conclusions import PAIR, WRONG, Conclusion, Finding, Limits, overall, verdict_of
from readability_triton.watch.records import KEPT_OUT
from readability_triton.watch.sequences import PRIOR_SIZE, Interval, log_martingale, share_interval

TIMEOUT_S = 10.0
NOT_COMPARED = frozenset({"dropped", KEPT_OUT})

_OUTCOME = re.compile(r'^bls_shadows_total\{outcome="([\w-]+)"\} (\S+)$', re.MULTILINE)
_RATIO = re.compile(r'^bls_shadow_time_ratio_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Counts:
    """Since the model was loaded.

    Attributes:
        outcomes: comparisons by outcome.
        ratios: by upper bound, how many ratios of the candidate's time to the answer's source lie below; the last bound
            is infinite.
    """

    outcomes: Counter[str]
    ratios: dict[float, int]


def scrape(url: str, headers: Mapping[str, str] = MappingProxyType({}), tls: ssl.SSLContext | None = None) -> Counts:
    """The counters now.

    Args:
        url: of the metrics endpoint, such as http://host:8002/metrics.
        headers: sent with the request.
        tls: what https:// trusts and shows; None for the system's certificates.

    Raises:
        OSError: if nothing answers there, or the answer leads elsewhere: the headers, a token among them, are for this
            server alone.
    """
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the user's own address
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=tls))
    with opener.open(request, timeout=TIMEOUT_S) as response:
        return parse(response.read().decode())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """None makes the redirect an HTTPError."""


def parse(text: str) -> Counts:
    """The counters of a page of metrics."""
    outcomes = Counter({name: int(float(value)) for name, value in _OUTCOME.findall(text)})
    ratios = {float(bound.replace("+Inf", "inf")): int(float(value)) for bound, value in _RATIO.findall(text)}
    return Counts(outcomes, dict(sorted(ratios.items())))


def conclude(counts: Counts, limits: Limits) -> Conclusion:
    """The share of wrong answers, and the median ratio to the width of a bucket: quantiles need the log."""
    compared = {name: n for name, n in counts.outcomes.items() if name not in NOT_COMPARED}
    n = sum(compared.values())
    wrong = n - compared.get("same", 0)
    n_pairs = counts.ratios.get(math.inf, 0)
    findings = []
    if WRONG in limits.measures:
        log_e = _log_e(wrong, n, limits.wrong_margin)
        share = wrong / n if n else math.nan
        findings.append(Finding(WRONG, 0.0, share, share_interval(wrong, n, limits.alpha), log_e))
    if set(limits.measures) - {WRONG}:
        log_e = _log_e(n_pairs - counts.ratios.get(1.0, 0), n_pairs, 0.5)
        findings.append(Finding(PAIR, 1.0, _middle(counts.ratios), _median(counts.ratios, limits.alpha), log_e))
    judged = tuple(replace(one, verdict=verdict_of(one, limits, len(findings))) for one in findings)
    names = ("the answer's source", "the candidate")
    return Conclusion(names, (n, n_pairs), judged, overall([one.verdict for one in judged]))


def _log_e(successes: int, trials: int, share: float) -> float:
    return max(0.0, float(log_e_above(np.array([float(successes)]), np.array([float(trials)]), share)[0]))


def _median(ratios: dict[float, int], alpha: float) -> Interval:
    """Bounds of buckets that hold the median at all times."""
    n, half = ratios.get(math.inf, 0), PRIOR_SIZE / 2
    low, high = 0.0, math.inf
    for bound, below in ratios.items():
        if math.isinf(bound) or not n:
            continue
        is_sure = float(log_martingale(float(below), n, 0.5, half, half)) >= -math.log(alpha)
        if is_sure and below < n / 2:
            low = bound
        elif is_sure and below > n / 2:
            high = min(high, bound)
    return Interval(low, high)


def _middle(ratios: dict[float, int]) -> float:
    """The upper bound of the bucket that holds the median so far."""
    n = ratios.get(math.inf, 0)
    return next((bound for bound, below in ratios.items() if n and 2 * below >= n), math.nan)
