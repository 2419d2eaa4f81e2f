"""A delay in a random step of a random graph is blamed on that step.

A step is blamed by how much longer it takes itself, as far as it is on the critical path (`profile.slower`). A delay
that disappears in the step's slack delays no answer: then nothing may be blamed.
"""

import random

import pytest

from readability_triton.explain.profile import Profile, slower
from tests.explain.scheduler import Graph, explained

N_TRIALS, N_REQUESTS, LEAST = 100, 60, 95
SHOWS = 0.1
"""The median answer is later by this share of the delay, or more: then it counts as one that matters."""

HIDDEN = 0.25
"""A delay that does not matter must not appear as more than this share of it."""

kinds = pytest.mark.parametrize("as_bls", [False, True], ids=["ensemble", "bls"])


def is_right(step: int, delay_ms: float, before: Profile, after: Profile) -> bool:
    longer = slower(before.means(), after.means())
    first, ms = next(iter(longer.items()))
    if after.total_ms[50] - before.total_ms[50] >= SHOWS * delay_ms:
        return first == f"s{step}"
    return first == f"s{step}" or ms < HIDDEN * delay_ms


@kinds
def test_a_delay_is_blamed_on_its_step_by_comparison_with_before(as_bls: bool) -> None:
    rng = random.Random(24)
    right, mattered = 0, 0
    for trial in range(N_TRIALS):
        graph = Graph.drawn(rng)
        step = rng.randrange(len(graph.reads))
        before = explained(graph, N_REQUESTS, trial, as_bls)
        delay_ms = before.total_ms[50] * rng.uniform(0.15, 1.0)
        after = explained(graph.delayed(step, delay_ms), N_REQUESTS, trial + 1000, as_bls)
        right += is_right(step, delay_ms, before, after)
        mattered += after.total_ms[50] - before.total_ms[50] >= SHOWS * delay_ms
    assert right >= LEAST
    assert mattered >= N_TRIALS / 2  # the test would be worth little if most delays were hidden


@kinds
def test_a_delay_longer_than_everything_else_has_the_largest_share_of_the_path(as_bls: bool) -> None:
    rng = random.Random(7)
    right = 0
    for trial in range(N_TRIALS):
        graph = Graph.drawn(rng)
        step = rng.randrange(len(graph.reads))
        profile = explained(graph.delayed(step, 2 * sum(graph.mean_ms)), 20, trial, as_bls)
        right += next(iter(profile.means())) == f"s{step}"
    assert right >= LEAST


@kinds
def test_without_a_delay_nothing_is_blamed(as_bls: bool) -> None:
    rng = random.Random(3)
    for trial in range(20):
        graph = Graph.drawn(rng)
        before, after = (explained(graph, N_REQUESTS, seed, as_bls) for seed in (trial, trial + 1000))
        assert max(slower(before.means(), after.means()).values()) < 0.15 * before.total_ms[50]


def test_a_delay_within_the_slack_of_its_step_is_blamed_on_nothing() -> None:
    graph = Graph(((), (0,), (0,), (1, 2)), (5.0, 50.0, 5.0, 5.0), noise=0.01)
    before, after = (explained(each, 30, 1, as_bls=False) for each in (graph, graph.delayed(2, 20.0)))
    assert max(slower(before.means(), after.means()).values()) < 1.0
    slack = {after.typical.spans[at].name: ms for at, ms in after.typical.slack_ms.items()}
    assert slack["s2"] == pytest.approx(50 - 25, abs=3)
    assert slack["s1"] == slack["s3"] == 0


def test_a_branch_that_comes_onto_the_path_is_not_blamed_for_the_delay_that_brought_it_there() -> None:
    # s0 → s1 takes 51 and s2 takes 60: a delay of 15 in s1 puts s0, 50 long, onto the path.
    graph = Graph(((), (0,), (), (1, 2)), (50.0, 1.0, 60.0, 1.0), noise=0.01)
    before, after = (explained(each, 30, 1, as_bls=False) for each in (graph, graph.delayed(1, 15.0)))
    assert before.means()["s0"].path_ms < 1 < 40 < after.means()["s0"].path_ms
    longer = slower(before.means(), after.means())
    assert longer["s1"] == pytest.approx(15, abs=1)
    assert all(ms < 1 for name, ms in longer.items() if name != "s1")
