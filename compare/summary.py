"""What a comparison showed, in numbers: what tables, JSON and the HTML report are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from readability_triton.compare.answers import Agreement, agreement
from readability_triton.compare.arm import Arm
from readability_triton.compare.breakdown import Spent, summed
from readability_triton.compare.experiment import Measured, Outcome
from readability_triton.compare.figures import (
    Compared,
    compare_beside,
    compare_latency,
    compare_throughput,
    latencies,
    shown_percentiles,
)
from readability_triton.compare.load import Beside, Block, Open
from readability_triton.compare.machine import n_cores
from readability_triton.compare.stage_times import StageTimes

FEWEST_FOR_INTERVALS = 3


@dataclass(frozen=True)
class ArmUnderLoad:
    """One arm under one load.

    Attributes:
        requests: that were sent.
        errors: messages of those that failed, with how often each came.
        unsent: requests that came due while too many were in flight.
        lag_ms: 50th and 99th percentile of how late the client sent requests; zero in a closed loop.
        client_share: of the processors of the client's machine that the client took, between 0 and 1.
        spent: what the models of the server did while it ran, for whichever client.
        counted: requests of the arm's own model among those; None for `hybrid`, which is no model of the server.
    """

    requests: int
    errors: Mapping[str, int]
    unsent: int
    lag_ms: tuple[float, float]
    client_share: float
    spent: Mapping[str, Spent]
    counted: int | None


@dataclass(frozen=True)
class LoadSummary:
    """Both arms under one load.

    Attributes:
        load: in words.
        concurrency: of a closed loop, else None.
        rate: of an open loop, requests a second, else None.
        steady: whether latencies had settled when measuring began.
        warm_up_seconds: how long that took.
        blocks: of each arm.
        arms: what each did.
        latency: by percentile, in seconds, those that there were requests enough for.
        throughput: answered requests a second.
        sure_p50, sure_throughput: the same with simultaneous 95 % intervals over all loads.
        beside: texts a second of the other client; None where there was none.
        stages: what the stages of `bls_pipeline` did while both arms ran, by its own metrics; empty without any.
    """

    load: str
    concurrency: int | None
    rate: float | None
    steady: bool
    warm_up_seconds: float
    blocks: int
    arms: tuple[ArmUnderLoad, ArmUnderLoad]
    latency: Mapping[int, Compared]
    throughput: Compared
    sure_p50: Compared
    sure_throughput: Compared
    beside: Compared | None = None
    stages: Mapping[str, StageTimes] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """A comparison.

    Attributes:
        labels: what the arms are called.
        loads: one entry a load that was measured.
        agreement: whether the arms give the same answers.
        incomplete: why it ended early; None if it did not.
    """

    labels: tuple[str, str]
    loads: Sequence[LoadSummary]
    agreement: Agreement
    incomplete: str | None


def summarise(outcome: Outcome, tolerance: float) -> Summary:
    """Figures of every load that has enough blocks, and of the answers."""
    long_enough = [each for each in outcome.measured if len(each.answered()[0]) >= FEWEST_FOR_INTERVALS]
    # Two sentences a load are drawn from these, each wrong with at most its share of 5 %.
    sure = 1 - 0.05 / max(1, 2 * len(long_enough))
    loads = [_summarise(each, outcome.arms, sure) for each in long_enough]
    one, other = outcome.arms
    return Summary((one.label, other.label), loads, agreement(*outcome.answers, tolerance), outcome.incomplete)


def _summarise(measured: Measured, arms: tuple[Arm, Arm], sure: float) -> LoadSummary:
    load, (first, second) = measured.load, measured.answered()
    percentiles = shown_percentiles(min(len(latencies(first)), len(latencies(second))))
    return LoadSummary(
        str(load),
        None if isinstance(load, Open) else load.concurrency,
        load.rate if isinstance(load, Open) else None,
        measured.steady,
        measured.warm_up_seconds,
        len(first),
        (_arm(measured, 0, arms[0].model), _arm(measured, 1, arms[1].model)),
        dict(zip(percentiles, compare_latency(first, second, percentiles), strict=True)),
        compare_throughput(first, second),
        compare_latency(first, second, [50], sure)[0],
        compare_throughput(first, second, sure),
        compare_beside(first, second) if isinstance(load, Beside) else None,
        measured.stages,
    )


def _arm(measured: Measured, arm: int, model: str) -> ArmUnderLoad:
    blocks = measured.blocks[arm]
    samples = [sample for block in blocks for sample in block.samples]
    errors: dict[str, int] = {}
    for sample in samples:
        if sample.error is not None:
            errors[sample.error] = errors.get(sample.error, 0) + 1
    lag = np.percentile([sample.sent - sample.due for sample in samples], [50, 99]) * 1000
    spent = summed(measured.spent[arm])
    return ArmUnderLoad(
        len(samples),
        errors,
        sum(block.unsent for block in blocks),
        (float(lag[0]), float(lag[1])),
        _client_share(blocks),
        spent,
        spent[model].requests if model in spent else None,
    )


def _client_share(blocks: Sequence[Block]) -> float:
    taken = sum(block.client_seconds for block in blocks) / sum(block.seconds for block in blocks)
    return taken / n_cores()
