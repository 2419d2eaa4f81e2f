"""The sentences of a comparison: what its figures show, and what weakens them."""

from collections.abc import Iterator

from readability_triton.compare.figures import Compared
from readability_triton.compare.summary import ArmUnderLoad, LoadSummary, Summary

TOO_LATE_MS = 2.0
TOO_BUSY = 0.03
"""Share of the machine beyond which the client is part of what is measured: the server has the less, and the slower arm
is flattered, since the client takes more while it sends faster."""

OTHERS_SHARE, OTHERS_LEAST = 0.2, 10
"""Requests that the server counts beyond those sent, as a share of these and in number, from which on another client
must have sent them. Triton counts a request shortly after its answer, so a few fall into the wrong block."""


def conclusions(summary: Summary) -> list[str]:
    """What the comparison shows, the most important first: wrong answers, then the figures of each load."""
    return [*_answers(summary), *(sentence for load in summary.loads for sentence in _load(summary.labels, load))]


def cautions(summary: Summary) -> list[str]:
    """Why the figures may mean less than they seem to."""
    sentences = [f"Incomplete: {summary.incomplete}."] if summary.incomplete else []
    if not summary.loads:
        sentences.append("Nothing was measured for long enough to say anything.")
    for load in summary.loads:
        sentences += _about_load(load)
        for label, arm in zip(summary.labels, load.arms, strict=True):
            sentences += [f"{load.load}, {label}: {each}" for each in _about_arm(load, arm)]
    return sentences


def found_different(summary: Summary) -> bool:
    """Whether any figure of any load is called different; for equal arms at most once in twenty comparisons."""
    return any(load.sure_p50.difference.excludes(0) or load.sure_throughput.ratio.excludes(1) for load in summary.loads)


def _answers(summary: Summary) -> Iterator[str]:
    first, second = summary.labels
    found = summary.agreement
    is_wrong = found.compared and not found.same
    yield found.in_words(f"{first} and {second}") + (" Their speeds cannot be compared." if is_wrong else "")


def _load(labels: tuple[str, str], load: LoadSummary) -> Iterator[str]:
    yield f"{load.load}: {_latency(labels, load.sure_p50)}"
    if load.concurrency is not None:
        yield f"{load.load}: {_throughput(labels, load.sure_throughput)}"


def _latency(labels: tuple[str, str], p50: Compared) -> str:
    gap = p50.difference
    if not gap.excludes(0):
        return f"no difference larger than {milliseconds(gap.reach)} ms at p50 could be seen."
    word = "slower" if gap.value > 0 else "faster"
    low, high = sorted((abs(gap.low), abs(gap.high)))
    return (
        f"{labels[1]} is {word} than {labels[0]}, by {milliseconds(abs(gap.value))} ms at p50 "
        f"({milliseconds(low)} to {milliseconds(high)}), {abs(p50.ratio.value - 1):.1%}."
    )


def _throughput(labels: tuple[str, str], throughput: Compared) -> str:
    ratio = throughput.ratio
    if not ratio.excludes(1):
        reach = max(abs(ratio.low - 1), abs(ratio.high - 1))
        return f"no difference in throughput larger than {reach:.1%} could be seen."
    return (
        f"{labels[1]} answers {ratio.value:.3f} times as many requests a second as {labels[0]} "
        f"({ratio.low:.3f} to {ratio.high:.3f})."
    )


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds with three digits or so."""
    value = seconds * 1000
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _about_load(load: LoadSummary) -> Iterator[str]:
    if not load.steady:
        yield f"{load.load}: latencies had not settled after {load.warm_up_seconds:.0f} s of warm-up."
    if 99 not in load.latency:
        fewest = min(arm.requests for arm in load.arms)
        yield f"{load.load}: {fewest} requests of an arm are too few for its p99."


def _about_arm(load: LoadSummary, arm: ArmUnderLoad) -> Iterator[str]:
    for message, count in arm.errors.items():
        yield f"{count} of {arm.requests} requests failed: {message}"
    if arm.unsent:
        yield f"{arm.unsent} requests came due while too many were in flight, and were not sent."
    if load.rate is not None and arm.lag_ms[1] > TOO_LATE_MS:
        yield f"the client sent 1 % of requests more than {arm.lag_ms[1]:.1f} ms late; latencies include that."
    if arm.counted is not None and arm.counted > (1 + OTHERS_SHARE) * arm.requests + OTHERS_LEAST:
        yield (
            f"the server counted {arm.counted} requests where {arm.requests} were sent: other clients use the model, "
            "slow it down, and are part of the times inside the server."
        )
    if arm.client_share > TOO_BUSY:
        yield (
            f"the client itself took {arm.client_share:.1%} of the machine, more than {TOO_BUSY:.0%}: a server on the "
            "same machine had to do without, and differences look smaller than they are."
        )
