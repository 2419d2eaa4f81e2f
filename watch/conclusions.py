"""What may be concluded now: for each measure an interval and the evidence that the candidate is worse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from readability_triton.watch.betting import (
    log_e_above,
    log_e_of_errors,
    log_e_of_pairs,
    log_e_of_quantile,
)
from readability_triton.watch.records import Arms, Pairs
from readability_triton.watch.sequences import (
    EVERYTHING,
    Interval,
    median_interval,
    quantile_intervals,
    share_difference,
    share_interval,
)

Verdict = Literal["worse", "no worse", "undecided"]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
WRONG, PAIR = "wrong", "pair"
MEASURES = (*QUANTILES, WRONG)
"""`pair`, the median ratio of the two times of one request, is added for shadows."""


@dataclass(frozen=True)
class Limits:
    """What counts as no worse, and how sure to be.

    Attributes:
        margin: of ratios of times: 0.1 lets the candidate take 10 % longer.
        wrong_margin: by how much more of its answers may be wrong.
        alpha: the probability of calling a candidate worse that is not, over all measures and all times; and for each
            measure the probability of an interval that does not hold the truth at some time.
        measures: which ones count.
    """

    margin: float = 0.1
    wrong_margin: float = 0.01
    alpha: float = 0.05
    measures: Sequence[str] = MEASURES


@dataclass(frozen=True)
class Finding:
    """Of one measure.

    Attributes:
        measure: `p50`, `p90`, `p99`: quantiles of time; `pair`: the median of the ratio of the times of one request;
            `wrong`: the share of wrong answers.
        first, second: of the other arm and of the candidate, in milliseconds, or shares; NaN if unknown.
        interval: of the ratio of times, or of the difference of shares.
        difference: of quantiles, in milliseconds.
        log_e: evidence that the candidate is worse, at its greatest so far.
        verdict: by the limits.
    """

    measure: str
    first: float
    second: float
    interval: Interval
    log_e: float
    difference: Interval = EVERYTHING
    verdict: Verdict = "undecided"

    @property
    def estimate(self) -> float:
        """The ratio, or the difference of shares."""
        return self.second - self.first if self.measure == WRONG else self.second / self.first


@dataclass(frozen=True)
class Conclusion:
    """Of all measures.

    Attributes:
        names: of the other arm and of the candidate.
        n: requests of each; of pairs, those that count for the share of wrong answers and those with both times.
        findings: one a measure.
        verdict: `worse` if any measure is; `no worse` if all are.
    """

    names: tuple[str, str]
    n: tuple[int, int]
    findings: tuple[Finding, ...]
    verdict: Verdict


def conclude(data: Arms | Pairs, limits: Limits, earlier: Conclusion | None = None) -> Conclusion:
    """What follows from all requests so far.

    Args:
        data: the requests.
        limits: what to conclude.
        earlier: an earlier conclusion from the beginning of the same data, whose intervals hold still.
    """
    findings = _of_arms(data, limits) if isinstance(data, Arms) else _of_pairs(data, limits)
    if earlier:
        before = {one.measure: one for one in earlier.findings}
        findings = [_with_earlier(one, before.get(one.measure)) for one in findings]
    judged = tuple(replace(one, verdict=verdict_of(one, limits, len(findings))) for one in findings)
    if isinstance(data, Arms):
        n = (int((~data.is_candidate).sum()), int(data.is_candidate.sum()))
    else:
        n = (len(data.is_wrong), len(data.first))
    return Conclusion(data.names, n, judged, overall([one.verdict for one in judged]))


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of all measures together."""
    if "worse" in verdicts:
        return "worse"
    return "no worse" if verdicts and set(verdicts) == {"no worse"} else "undecided"


def _with_earlier(now: Finding, before: Finding | None) -> Finding:
    if before is None:
        return now
    return replace(
        now,
        interval=now.interval.met(before.interval),
        difference=now.difference.met(before.difference),
        log_e=max(now.log_e, before.log_e),
    )


def verdict_of(finding: Finding, limits: Limits, n_measures: int) -> Verdict:
    """Of one of several measures."""
    highest = limits.wrong_margin if finding.measure == WRONG else 1 + limits.margin
    if finding.interval.high <= highest:
        return "no worse"
    return "worse" if finding.log_e >= math.log(n_measures / limits.alpha) else "undecided"


def _of_arms(data: Arms, limits: Limits) -> list[Finding]:
    first, second = data.milliseconds[~data.is_candidate], data.milliseconds[data.is_candidate]
    findings = []
    for measure in limits.measures:
        if measure == WRONG:
            findings.append(_wrong_of_arms(data, limits))
            continue
        p = QUANTILES[measure]
        ratio, difference = quantile_intervals(first, second, p, limits.alpha, independent=True)
        log_e = log_e_of_quantile(data.milliseconds, data.is_candidate, data.shares, p, 1 + limits.margin)
        findings.append(
            Finding(measure, _quantile(first, p), _quantile(second, p), ratio, _greatest(log_e), difference)
        )
    return findings


def _wrong_of_arms(data: Arms, limits: Limits) -> Finding:
    (s1, n1), (s2, n2) = (
        (int(data.is_wrong[arm].sum()), int(arm.sum())) for arm in (~data.is_candidate, data.is_candidate)
    )
    log_e = log_e_of_errors(data.is_wrong, data.is_candidate, data.shares)
    interval = share_difference((s1, n1), (s2, n2), limits.alpha)
    return Finding(WRONG, _share(s1, n1), _share(s2, n2), interval, _greatest(log_e))


def _of_pairs(data: Pairs, limits: Limits) -> list[Finding]:
    findings = [_pair(data, limits)] if set(limits.measures) & set(QUANTILES) else []
    for measure in limits.measures:
        if measure == WRONG:
            findings.append(_wrong_of_pairs(data, limits))
            continue
        p = QUANTILES[measure]
        ratio, difference = quantile_intervals(data.first, data.second, p, limits.alpha, independent=False)
        log_e = log_e_of_pairs(data.first, data.second, p)
        quantiles = _quantile(data.first, p), _quantile(data.second, p)
        findings.append(Finding(measure, *quantiles, ratio, _greatest(log_e), difference))
    return findings


def _pair(data: Pairs, limits: Limits) -> Finding:
    ratios = data.second / data.first
    interval = median_interval(ratios, limits.alpha)
    log_e = log_e_above(np.cumsum(ratios > 1.0), np.arange(1.0, len(ratios) + 1), 0.5)
    return Finding(PAIR, 1.0, _quantile(ratios, 0.5), interval, _greatest(log_e))


def _wrong_of_pairs(data: Pairs, limits: Limits) -> Finding:
    wrong, n = int(data.is_wrong.sum()), len(data.is_wrong)
    return Finding(
        WRONG,
        0.0,
        _share(wrong, n),
        share_interval(wrong, n, limits.alpha),
        _greatest(log_e_above(np.cumsum(data.is_wrong), np.arange(1.0, n + 1), limits.wrong_margin)),
    )


def _greatest(log_e: np.ndarray) -> float:
    return float(max(log_e.max(initial=0.0), 0.0))


def _quantile(values: np.ndarray, p: float) -> float:
    return float(np.quantile(values, p)) if len(values) else math.nan


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
