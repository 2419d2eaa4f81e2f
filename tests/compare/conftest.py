"""A made-up comparison: the second arm takes 5 ms longer, the second load is an open loop."""

from collections.abc import Callable

import numpy as np
import pytest

from readability_triton.compare import figures
from readability_triton.compare.arm import two_arms
from readability_triton.compare.breakdown import Spent
from readability_triton.compare.experiment import Measured, Outcome
from readability_triton.compare.load import Block, Closed, Load, Open, Sample


def block(rng: np.random.Generator, mean: float, n_requests: int) -> Block:
    seconds = rng.normal(mean, 0.001, n_requests)
    samples = [Sample(at, 0.0, 0.001, float(each)) for at, each in enumerate(seconds)]
    return Block(samples, 0, float(seconds.sum()), 0.01)


def measured(load: Load, means: tuple[float, float], n_blocks: int = 12, n_requests: int = 20) -> Measured:
    rng = np.random.default_rng(0)
    found = Measured(load, True, 3.0)
    for arm, mean in enumerate(means):
        for _ in range(n_blocks):
            found.blocks[arm].append(block(rng, mean, n_requests))
            found.spent[arm].append({"model": Spent(n_requests, n_requests // 2, 0.1, 0.2, 0.3, 0.4)})
    return found


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the resamples: intervals are as sound, and only less smooth."""
    monkeypatch.setattr(figures, "N_RESAMPLES", 200)


@pytest.fixture
def make_outcome() -> Callable[..., Outcome]:
    def make(means=(0.020, 0.025), answers=(1.0, 1.0), labels=("one", "other"), **shape) -> Outcome:
        outcome = Outcome(two_arms(*labels))
        for load in (Closed(1), Closed(8), Open(20.0)):
            outcome.measured.append(measured(load, means, **shape))
        for arm, answer in zip(outcome.answers, answers, strict=True):
            arm.note(0, {"SCORE": np.array([[answer]])})
        return outcome

    return make
