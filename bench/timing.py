"""Time several arms over the same texts in one run, in random order, and compare them with intervals."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

Call = Callable[[str], None]
"""Computes one text and returns when it is done."""


@dataclass
class Samples:
    """What one arm did at one concurrency.

    Attributes:
        latencies: seconds, one a request, in the order in which the requests were drawn.
        rates: requests a second, one a round.
    """

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def run_in_turn(
    arms: Mapping[str, Call], texts: Sequence[str], rounds: int, on_progress: Callable[[int], None]
) -> dict[str, Samples]:
    """Concurrency 1: every text through every arm, the arms in random order text by text, so that samples are pairs."""
    rng = random.Random(0)
    samples = {name: Samples() for name in arms}
    for _ in range(rounds):
        spent = dict.fromkeys(arms, 0.0)
        for text in texts:
            for name in rng.sample(list(arms), len(arms)):
                elapsed = _timed(arms[name], text)
                samples[name].latencies.append(elapsed)
                spent[name] += elapsed
                on_progress(1)
        for name, seconds in spent.items():
            samples[name].rates.append(len(texts) / seconds)
    return samples


def run_in_blocks(
    arms: Mapping[str, Call], texts: Sequence[str], rounds: int, concurrency: int, on_progress: Callable[[int], None]
) -> dict[str, Samples]:
    """Concurrency above 1: a block of requests an arm and round, the arms in random order within a round."""
    rng = random.Random(0)
    samples = {name: Samples() for name in arms}
    with ThreadPoolExecutor(concurrency) as pool:
        for _ in range(rounds):
            for name in rng.sample(list(arms), len(arms)):
                start = time.perf_counter()
                samples[name].latencies += pool.map(lambda text, call=arms[name]: _timed(call, text), texts)
                samples[name].rates.append(len(texts) / (time.perf_counter() - start))
                on_progress(len(texts))
    return samples


def one_at_a_time(call: Call) -> Call:
    """`call` behind a lock: callers wait for each other, as for one model instance."""
    lock = threading.Lock()

    def locked(text: str) -> None:
        with lock:
            call(text)

    return locked


def added_latency(samples: Mapping[str, Samples], arm: str, base: str) -> Interval:
    """Median of the paired differences, in seconds, between the latencies of `arm` and of `base`."""
    pairs = np.array(samples[arm].latencies) - np.array(samples[base].latencies)
    return _interval(pairs, np.median)


def throughput_ratio(samples: Mapping[str, Samples], arm: str, base: str) -> Interval:
    """Median over rounds of the ratio of requests a second, `arm` to `base`."""
    return _interval(np.array(samples[arm].rates) / np.array(samples[base].rates), np.median)


def _timed(call: Call, text: str) -> float:
    start = time.perf_counter()
    call(text)
    return time.perf_counter() - start


def _interval(values: np.ndarray, statistic: Callable[..., float]) -> Interval:
    result = stats.bootstrap((values,), statistic, method="percentile", n_resamples=2000, random_state=0)
    return Interval(float(statistic(values)), *map(float, result.confidence_interval))
