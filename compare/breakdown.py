"""Where the time goes: Triton's statistics of each model, between two snapshots, over all clients."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tritonclient.grpc.aio import InferenceServerClient

STEPS = ("queue", "compute_input", "compute_infer", "compute_output")


class Spent(NamedTuple):
    """What one model did, summed over requests; times are seconds.

    Attributes:
        requests: answered ones.
        executions: batches that these were computed in.
        queue: waiting for an instance.
        compute_input: gathering inputs.
        compute_infer: computing. For an ensemble and for BLS, that of the models they call is in it.
        compute_output: handing out outputs.
    """

    requests: int
    executions: int
    queue: float
    compute_input: float
    compute_infer: float
    compute_output: float

    def per_request(self, step: str) -> float:
        """Seconds that a request spent in a step on average."""
        return float(getattr(self, step)) / self.requests if self.requests else 0.0

    def __add__(self, other: tuple[Any, ...]) -> "Spent":
        return Spent(*(one + more for one, more in zip(self, other, strict=True)))

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(*(one - less for one, less in zip(self, other, strict=True)))  # type: ignore[arg-type]


Breakdown = Mapping[str, Spent]
NOTHING = Spent(0, 0, 0.0, 0.0, 0.0, 0.0)


async def snapshot(client: InferenceServerClient) -> Breakdown:
    """What every model of the server has done since it was loaded, summed over the versions of a model."""
    statistics = await client.get_inference_statistics(as_json=True)
    return by_model(statistics.get("model_stats", []))


def by_model(statistics: Iterable[Mapping[str, Any]]) -> Breakdown:
    """Triton's statistics in JSON, summed over the versions of a model."""
    spent: dict[str, Spent] = {}
    for model in statistics:
        spent[model["name"]] = spent.get(model["name"], NOTHING) + _read(model)
    return spent


def between(before: Breakdown, after: Breakdown) -> dict[str, Spent]:
    """What was done from one snapshot to the next, by the models that did anything."""
    spent = {name: done - before.get(name, NOTHING) for name, done in after.items()}
    return {name: done for name, done in spent.items() if done.requests}


def summed(parts: list[Breakdown]) -> dict[str, Spent]:
    """Several breakdowns as one."""
    names = Counter(name for part in parts for name in part)
    return {name: sum((part[name] for part in parts if name in part), start=NOTHING) for name in names}


def _read(model: Mapping[str, Any]) -> Spent:
    steps = model.get("inference_stats", {})
    # JSON of protobuf leaves zeros out and writes 64-bit numbers as strings.
    seconds = [int(steps.get(step, {}).get("ns", 0)) / 1e9 for step in STEPS]
    requests = int(steps.get("success", {}).get("count", 0))
    return Spent(requests, int(model.get("execution_count", 0)), *seconds)
