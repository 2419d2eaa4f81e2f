"""A server of one queue, in simulated time: what its latencies are has a formula."""

import heapq
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from readability_triton.compare.client_process import ClosedJob, Job, OpenJob
from readability_triton.compare.load import Block, Sample

Draw = Callable[[np.random.Generator, int], np.ndarray]


def exponential(mean: float) -> Draw:
    return lambda rng, n: rng.exponential(mean, n)


def constant(seconds: float) -> Draw:
    return lambda rng, n: np.full(n, seconds)


class SimulatedQueue:
    """One server, first come first served, without an end to its queue; a sender for `Probing`."""

    def __init__(self, service: Draw, seed: int = 0) -> None:
        self.service, self.rng, self.jobs = service, np.random.default_rng(seed), []

    async def check(self, target: int) -> None:
        pass

    async def run(self, job: Job) -> Block:
        self.jobs.append(job)
        if isinstance(job, OpenJob):
            due = np.array([at for at, _ in job.schedule])
            requests = [request for _, request in job.schedule]
            done = departures(due, self.service(self.rng, len(due)))
        else:
            assert isinstance(job, ClosedJob)
            requests = list(job.requests)
            due, done = closed(self.service(self.rng, len(requests)), job.concurrency)
        samples = [Sample(*each) for each in zip(requests, due.tolist(), due.tolist(), done.tolist(), strict=True)]
        return Block(samples, 0, float(done[-1]), 0.0)


def departures(arrivals: np.ndarray, service: np.ndarray) -> np.ndarray:
    """When each leaves: Lindley's recursion, all at once."""
    before = np.cumsum(service) - service
    return before + np.maximum.accumulate(arrivals - before) + service


def closed(service: np.ndarray, concurrency: int) -> tuple[np.ndarray, np.ndarray]:
    """When each is sent and answered, by so many callers at one server."""
    free, sent, done, at = [0.0] * concurrency, [], [], 0.0
    for seconds in service:
        sent.append(heapq.heappop(free))
        at = max(at, sent[-1]) + seconds
        heapq.heappush(free, at)
        done.append(at)
    return np.array(sent), np.array(done)


def mm1_capacity(mean: float, share: float, bound: float) -> float:
    """The rate at which P(T > bound) = exp(-(1/mean - rate) bound) is `share`: Kleinrock, Queueing Systems 1, 3.2."""
    return 1 / mean - math.log(1 / share) / bound


def md1_exceedance(rate: float, seconds: float, bound: float) -> float:
    """P(T > bound) of M/D/1: Erlang's formula for the wait (Franx, Operations Research Letters 29, 2001), exactly."""
    load, wait = Fraction(rate) * Fraction(seconds), (Fraction(bound) - Fraction(seconds)) / Fraction(seconds)
    if wait < 0:
        return 1.0
    # Terms of both signs are far larger than their sum; with fractions nothing is lost but in the exponential.
    terms = []
    for k in range(int(wait) + 1):
        power = load * (k - wait)
        terms.append((power**k / math.factorial(k), power))
    highest = max(float(-power) for _, power in terms)
    total = sum(term * _exp(-power - Fraction(highest)) for term, power in terms)
    return 1 - (1 - float(load)) * float(total) * math.exp(highest)


def _exp(x: Fraction) -> Fraction:
    """exp(x) to fifty digits, for x between -60 and 0."""
    total, term, k = Fraction(1), Fraction(1), 0
    x = Fraction(round(x * 10**60), 10**60)
    while abs(term) > Fraction(1, 10**60) or k < abs(x):
        k += 1
        term = Fraction(round(term * x / k * 10**90), 10**90)
        total += term
    return total


def md1_capacity(seconds: float, share: float, bound: float) -> float:
    low, high = 0.0, 1 / seconds
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if md1_exceedance(middle, seconds, bound) <= share else (low, middle)
    return low
