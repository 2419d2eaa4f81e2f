"""One probe: an arm at one rate, requests coming as in a Poisson process; the first part is not counted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from readability_triton.compare.capacity.exceedance import Segment
from readability_triton.compare.capacity.search import Exceeded
from readability_triton.compare.capacity.slo import Slo
from readability_triton.compare.figures import shown_percentiles
from readability_triton.compare.load import Block, Sample
from readability_triton.compare.machine import n_cores

LEAD = 0.25
"""Of the counted requests, how many come before them: the queue has to get to its usual length."""

SEGMENTS = 5


@dataclass(frozen=True)
class Mix:
    """What is sent.

    Attributes:
        n_requests: different requests that count.
        n_bulk: different bulk requests; their numbers follow.
        bulk_share: of all requests, how many are bulk ones; they do not count.
    """

    n_requests: int
    n_bulk: int = 0
    bulk_share: float = 0.0

    def is_bulk(self, request: int) -> bool:
        """Whether the request of a number is a bulk one."""
        return request >= self.n_requests

    def draw(self, rng: np.random.Generator) -> Iterator[int]:
        """Request numbers: those that count in random order, then in another, bulk ones at random between them."""
        while True:
            for number in rng.permutation(self.n_requests):
                while self.bulk_share and rng.random() < self.bulk_share:
                    yield self.n_requests + int(rng.integers(self.n_bulk))
                yield int(number)


@dataclass(frozen=True)
class Probe:
    """What a probe found. Latencies are seconds, of answered requests that count.

    Attributes:
        rate: all requests a second.
        exceeded: how many took longer than the bound, failed or were not sent, by segments.
        latency: by percentile: 50, 90, 95 and 99, as far as there were requests enough, and that of the bound.
        goodput: requests a second that count and were answered within the bound.
        errors: messages of requests that failed, with how often each came.
        unsent: requests that were not sent because too many waited.
        lag_ms: 99th percentile of how late the client sent.
        client_share: of the processors of the client's machine that the client took.
        seconds: how long it took.
    """

    rate: float
    exceeded: Exceeded
    latency: Mapping[float, float]
    goodput: float
    errors: Mapping[str, int]
    unsent: int
    lag_ms: float
    client_share: float
    seconds: float


def schedule(rate: float, n_counted: int, mix: Mix, rng: np.random.Generator) -> tuple[float, list[tuple[float, int]]]:
    """When what comes due, and from when on it counts.

    Arrivals are those of a Poisson process, given how many come in the lead and after it: uniform in each. So the rate
    of a probe is the one that it has to have, not one that varies by a few percent from probe to probe.
    """
    n_lead = max(1, round(LEAD * n_counted))
    begin, end = n_lead / rate, (n_lead + n_counted) / rate
    due = np.concatenate([np.sort(rng.uniform(0, begin, n_lead)), np.sort(rng.uniform(begin, end, n_counted))])
    return begin, [(float(at), request) for at, request in zip(due, mix.draw(rng), strict=False)]


def read_probe(block: Block, rate: float, begin: float, mix: Mix, slo: Slo) -> Probe:
    """The figures of a block that was run by `schedule`."""
    counted = [sample for sample in block.samples if sample.due >= begin and not mix.is_bulk(sample.request)]
    exceeded = _segments(counted, block.unsent, rate, slo)
    seconds = np.array([sample.latency for sample in counted if sample.error is None])
    percentiles = dict.fromkeys([*shown_percentiles(len(seconds)), slo.percentile])
    latency = {each: float(np.percentile(seconds, each)) for each in sorted(percentiles)} if len(seconds) else {}
    lag = np.percentile([sample.sent - sample.due for sample in block.samples], 99) if block.samples else 0.0
    return Probe(
        rate,
        exceeded,
        latency,
        rate * (1 - mix.bulk_share) * (1 - exceeded.share),
        Counter(sample.error for sample in block.samples if sample.error is not None),
        block.unsent,
        1000 * float(lag),
        block.client_seconds / block.seconds / n_cores(),
        block.seconds,
    )


def _segments(counted: list[Sample], unsent: int, rate: float, slo: Slo) -> Exceeded:
    over = np.array([sample.error is not None or sample.latency > slo.seconds for sample in counted] + [True] * unsent)
    if not len(over):  # it ended before anything counted
        over = np.array([True])
    parts = np.array_split(over, min(SEGMENTS, len(over)))
    return Exceeded([Segment(rate, len(part), int(part.sum())) for part in parts])
