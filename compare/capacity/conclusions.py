"""The sentences about capacity: what was found, and what weakens it."""

import math
from collections import Counter
from collections.abc import Iterator

from readability_triton.compare.answers import Agreement, agreement
from readability_triton.compare.capacity.exceedance import RateInterval
from readability_triton.compare.capacity.probing import ArmProbed, Outcome
from readability_triton.compare.conclusions import TOO_BUSY, TOO_LATE_MS, milliseconds


def answers_agree(outcome: Outcome, tolerance: float) -> Agreement | None:
    """Whether both arms gave the same answers; None where there is only one."""
    if len(outcome.arms) < 2:
        return None
    one, other = outcome.arms
    return agreement(one.answers, other.answers, tolerance)


def ratio(outcome: Outcome) -> RateInterval | None:
    """The second arm's rate by the first's; None where there is only one arm, or a rate is not known.

    The interval is that of two independent logarithms: as both were probed in turn, what slowed the machine met both,
    and it is rather too wide than too narrow.
    """
    intervals = [arm.found.interval for arm in outcome.arms if arm.found.is_known]
    if len(intervals) < 2:
        return None
    first, second = intervals
    assert first is not None
    assert second is not None
    reach = math.hypot(*(math.log(each.high / each.low) / 2 for each in (first, second)))
    value = second.rate / first.rate
    return RateInterval(value, value * math.exp(-reach), value * math.exp(reach))


def conclusions(outcome: Outcome, tolerance: float) -> list[str]:
    """What was found, wrong answers first."""
    return [*_answers(outcome, tolerance), *(_capacity(outcome, arm) for arm in outcome.arms), *_ratio(outcome)]


def cautions(outcome: Outcome) -> list[str]:
    """Why the figures may mean less than they seem to."""
    sentences = [f"Incomplete: {outcome.incomplete}."] if outcome.incomplete else []
    for arm in outcome.arms:
        sentences += [f"{arm.arm.label}: {each}" for each in _about(outcome, arm)]
    return sentences


def rate_in_words(interval: RateInterval) -> str:
    """A rate with its interval."""
    return f"{interval.rate:.3g} ({interval.low:.3g} to {interval.high:.3g})"


def _answers(outcome: Outcome, tolerance: float) -> Iterator[str]:
    found = answers_agree(outcome, tolerance)
    if found is not None:
        yield found.in_words("the two")


def _capacity(outcome: Outcome, arm: ArmProbed) -> str:
    label, slo, found = arm.arm.label, outcome.slo, arm.found
    if not arm.holds_lightly:
        shown = "no request was answered" if math.isnan(arm.light) else f"its median is {milliseconds(arm.light)} ms"
        return f"{label} does not keep {slo} at any rate: one request at a time, {shown}."
    if found.is_known:
        assert found.interval is not None
        return f"{label} carries {rate_in_words(found.interval)} requests a second with {slo}."
    if found.held is None and found.failed is None:
        return f"{label}: nothing is known of the rate at which {slo} holds."
    if found.failed is None:
        return f"{label} keeps {slo} at {found.held:.3g} requests a second; higher rates were not probed."
    if found.held is None:
        return f"{label} does not keep {slo} at {found.failed:.3g} requests a second; lower rates were not probed."
    low, high = sorted((found.held, found.failed))
    return (
        f"{label}: the rate at which {slo} holds cannot be told from the noise of these probes; it was seen to hold "
        f"and not to hold between {low:.3g} and {high:.3g} requests a second."
    )


def _ratio(outcome: Outcome) -> Iterator[str]:
    found = ratio(outcome)
    if found is None:
        return
    first, second = (arm.arm.label for arm in outcome.arms)
    if found.low <= 1 <= found.high:
        reach = max(1 - found.low, found.high - 1)
        yield f"No difference in what they carry larger than {reach:.0%} could be seen."
    else:
        shown = f"{found.rate:.3f} times as much as {first} ({found.low:.3f} to {found.high:.3f})"
        yield f"{second} carries {shown}."


def _about(outcome: Outcome, arm: ArmProbed) -> Iterator[str]:
    errors: Counter[str] = Counter()
    for probe in arm.probes:
        errors.update(probe.errors)
    for message, count in errors.items():
        yield f"{count} requests failed, and count as over the bound: {message}"
    if arm.probes:
        share = max(probe.client_share for probe in arm.probes)
        if share > TOO_BUSY:
            yield f"the client itself took up to {share:.1%} of the machine, which a server on it had to do without."
        lag = max(probe.lag_ms for probe in arm.probes)
        if lag > max(TOO_LATE_MS, 100 * outcome.slo.seconds):  # a tenth of the bound
            yield f"the client sent 1 % of a probe's requests more than {lag:.1f} ms late; latencies include that."
    wanted = arm.holds_lightly and not arm.found.is_known
    if wanted and not outcome.incomplete:
        yield "more time (--seconds), a lower percentile or another bound would tell more."
