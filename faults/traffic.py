"""The requests that honest clients send: which pipeline, by which protocol, under which policy, how many rows."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from readability_triton.client.protocol import Parameter

ENSEMBLE, BLS = "ensemble_all", "bls_pipeline"
OWN_BLS = "bls_deadline"
"""A copy of the second for requests with deadlines only, so that they do not wait for batches of others."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Requests of one sort.

    Attributes:
        name: what tables call it.
        pipeline: the model.
        scheme: `grpc` or `http`.
        parameters: the policy and its settings; without any, the pipeline's default.
    """

    name: str
    pipeline: str
    scheme: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def policy(self) -> str:
        """The policy that applies; the ensemble does what `parallel` does."""
        return str(self.parameters.get("policy", "parallel"))


DEADLINE_MS = 2000
"""Far more than a request takes under this load, and less than a stage hangs."""

FALLBACK = Flow("fallback", BLS, "grpc", {"policy": "fallback"})
DEADLINE = Flow("deadline", BLS, "grpc", {"policy": "deadline", "deadline_ms": DEADLINE_MS})
OWN_DEADLINE = replace(DEADLINE, pipeline=OWN_BLS)
PARALLEL = (
    Flow("ensemble_all, gRPC", ENSEMBLE, "grpc"),
    Flow("ensemble_all, HTTP", ENSEMBLE, "http"),
    Flow("bls_pipeline, gRPC", BLS, "grpc"),
    Flow("bls_pipeline, HTTP", BLS, "http"),
)
NO_ENCODER = Flow("deadline, no encoder", BLS, "http", {"policy": "deadline", "deadline_ms": 0})
"""The forest's score is all that there is time for."""

EVERYTHING = (
    *PARALLEL,
    FALLBACK,
    Flow("fallback to the ensemble", BLS, "http", {"policy": "fallback", "on_failure": ENSEMBLE}),
    DEADLINE,
    Flow("graph", BLS, "grpc", {"policy": "graph"}),
    Flow("urgent", BLS, "grpc", {"priority_level": 1, "tenant": "a"}),
    Flow("patient", BLS, "http", {"priority_level": 3, "tenant": "b", "timeout_ms": 60_000}),
)
"""Both pipelines, both protocols, every policy."""


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        flow: its sort.
        rows: which texts of the truth table, INTP [B].
        weights: their blend weights, FP32 [B].
    """

    flow: Flow
    rows: NDArray[np.intp]
    weights: NDArray[np.float32]


MOST_ROWS = 8


def draw(rng: random.Random, flow: Flow, n_texts: int, n_rows: int | None = None) -> Asked:
    """A request of random texts, one or two rows mostly, eight at most, with random weights, 0 and 1 among them."""
    count = n_rows or min(rng.randint(1, MOST_ROWS) for _ in range(3))
    rows = np.array([rng.randrange(n_texts) for _ in range(count)], dtype=np.intp)
    weights = np.array([rng.choice((0.0, 1.0, rng.random())) for _ in range(count)], dtype=np.float32)
    return Asked(flow, rows, weights)
