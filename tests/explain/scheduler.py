"""An ensemble's scheduler in virtual time: random graphs, noisy steps, and a delay in one of them.

What ran when is written as Triton writes traces, or as `bls_pipeline` writes output SPANS.
"""

import json
import random
from dataclasses import dataclass, field, replace

import numpy as np

from readability_triton.ensemble.dag import Dag, Step
from readability_triton.explain.clock import Sent
from readability_triton.explain.collector import Collector
from readability_triton.explain.one_request import Answered, Model, by_own_spans, by_trace
from readability_triton.explain.profile import Profile
from readability_triton.explain.triton_traces import read_traces
from readability_triton.explain.waterfall import Waterfall

NS = 1_000_000
NAME = "graph"


@dataclass(frozen=True)
class Ran:
    """One step in one request, in milliseconds since the request came."""

    got: float
    began: float
    done: float


@dataclass(frozen=True)
class Graph:
    """Steps `s0`, `s1`, … with their mean times; each reads outputs of earlier ones, or the request's input."""

    reads: tuple[tuple[int, ...], ...]
    mean_ms: tuple[float, ...]
    noise: float = 0.2
    delay_ms: dict[int, float] = field(default_factory=dict)

    @classmethod
    def drawn(cls, rng: random.Random) -> "Graph":
        n = rng.randint(3, 9)
        reads = tuple(tuple(sorted(rng.sample(range(at), min(at, rng.randint(0, 3))))) for at in range(n))
        return cls(reads, tuple(rng.lognormvariate(1.5, 0.9) for _ in range(n)))

    def delayed(self, step: int, ms: float) -> "Graph":
        return replace(self, delay_ms={step: ms})

    def dag(self) -> Dag:
        steps = [
            Step(f"s{at}", {str(each): f"t{each}" for each in reads} or {"x": "input"}, {"y": f"t{at}"})
            for at, reads in enumerate(self.reads)
        ]
        return Dag(NAME, ("input",), (f"t{len(steps) - 1}",), tuple(steps))

    def run(self, rng: random.Random) -> list[Ran]:
        """Each step begins a hop after the last of its inputs, and waits a little for an instance."""
        ran: list[Ran] = []
        for at, reads in enumerate(self.reads):
            got = max((ran[each].done for each in reads), default=0.0) + rng.uniform(0.02, 0.2)
            began = got + rng.expovariate(10)
            took = self.mean_ms[at] * rng.lognormvariate(0, self.noise) + self.delay_ms.get(at, 0.0)
            ran.append(Ran(got, began, began + took))
        return ran


def explained(graph: Graph, n_requests: int, seed: int, as_bls: bool) -> Profile:
    """Many requests, through traces or spans as they come from a server."""
    collector, rng = Collector(NAME), random.Random(seed)
    for number in range(n_requests):
        waterfall = (of_bls if as_bls else of_traces)(graph.run(rng), graph.dag(), number)
        collector.add_answer(waterfall.total_ms)
        collector.add(waterfall)
    return collector.profile("a simulation")


def of_traces(ran: list[Ran], dag: Dag, number: int) -> Waterfall:
    sent = number * 10_000 * NS
    end = max(step.done for step in ran) + 0.1
    fragments = _trace(1, NAME, None, {"REQUEST_START": 0.3, "INFER_RESPONSE_COMPLETE": 0.3 + end}, sent)
    for at, step in enumerate(ran):
        times = {
            "REQUEST_START": step.got,
            "QUEUE_START": step.got,
            "COMPUTE_START": step.began,
            "COMPUTE_INPUT_END": step.began,
            "COMPUTE_OUTPUT_START": step.done,
            "COMPUTE_END": step.done + 0.5,  # Triton passes outputs on before
            "REQUEST_END": step.done + 0.5,
        }
        shifted = {name: 0.3 + ms for name, ms in times.items()}
        fragments += _trace(at + 2, f"s{at}", 1, shifted, sent)
    (trace,) = read_traces(json.dumps(fragments), "a simulation")
    return by_trace(Model(NAME, {NAME: dag}, (), False), trace, Sent(sent, sent + round((end + 0.6) * NS)))


def _trace(number: int, model: str, parent: int | None, times: dict[str, float], sent: int) -> list[dict]:
    head = {"id": number, "model_name": model, "model_version": 1, "request_id": "r"}
    stamps = [{"id": number, "timestamps": [{"name": name, "ns": sent + round(ms * NS)}]} for name, ms in times.items()]
    return [head if parent is None else head | {"parent_id": parent}, *stamps]


def of_bls(ran: list[Ran], _dag: Dag, number: int) -> Waterfall:
    sent = number * 10_000 * NS
    end = max(step.done for step in ran) + 0.1
    calls = [
        {"stage": f"s{at}", "rows": 1, "queued_ms": step.got, "start_ms": step.began, "end_ms": step.done}
        for at, step in enumerate(ran)
    ]
    noted = json.dumps({"arrived_ns": sent + round(0.3 * NS), "answered_ms": end, "calls": calls}).encode()
    answered = Answered("r", Sent(sent, sent + round((end + 0.6) * NS)), {}, np.array([[noted]], dtype=object))
    return by_own_spans(Model(NAME, {}, (), True), answered)
