"""The comparison against a server whose delays are known."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from readability_triton.client.access import Access
from readability_triton.compare.arm import parse_arm
from readability_triton.compare.callers import Callers, make_target
from readability_triton.compare.conclusions import conclusions, found_different
from readability_triton.compare.experiment import Plan
from readability_triton.compare.figures import compare_latency, latencies
from readability_triton.compare.load import Block, run_closed, run_open
from readability_triton.compare.summary import summarise
from readability_triton.compare.workload import of_texts

SHORT = Plan(concurrencies=(1,), rates=(), seconds=2.0, warm_up_seconds=1.0)
N_RUNS = 4


def plan(**changed) -> Plan:
    return Plan(**(vars(SHORT) | changed))


def test_constant_delays_are_found_and_so_is_their_difference(compare):
    (measured,) = compare("constant_20", "constant_26", plan(seconds=4.0)).measured
    first, second = (latencies(blocks) * 1000 for blocks in measured.blocks)
    # A sleep is never shorter than its argument; the round trip comes on top.
    assert first.min() >= 20
    assert second.min() >= 26
    (p50,) = compare_latency(*measured.blocks, [50])
    assert 20 <= p50.first * 1000 < 26
    assert p50.difference.low * 1000 - 1 <= 6 <= p50.difference.high * 1000 + 1
    assert p50.difference.excludes(0)


def test_an_arm_and_itself_are_not_called_different_more_often_than_said(compare):
    called = [
        found_different(summarise(compare("constant_20", "constant_20", plan(seed=seed)), 1e-5))
        for seed in range(N_RUNS)
    ]
    # Each is wrong one time in twenty: three or more of four would happen once in 2,000 times.
    assert sum(called) <= 2


def test_percentiles_of_exponential_delays_are_those_of_the_distribution(compare):
    (measured,) = compare("exponential_15", "exponential_15", plan(seconds=12.0)).measured
    seconds = np.concatenate([latencies(blocks) for blocks in measured.blocks])
    hop = seconds.min()
    for percentile in (50, 90):
        truth = -15 * np.log(1 - percentile / 100)
        # The standard error of a sample percentile, times four.
        p = percentile / 100
        error = 4 * 15 * np.sqrt(p / (1 - p) / len(seconds))
        assert np.percentile(seconds - hop, percentile) * 1000 == pytest.approx(truth, abs=error + 1.5)


def test_a_stall_shows_in_an_open_loop_in_every_request_that_had_to_wait_for_it(sleeping):
    texts = ["a text"] * 120
    texts[30] = "stall"

    async def both() -> tuple[Block, Block]:
        workload = of_texts(texts, 1, 0.5, None, "a test")
        target = make_target(parse_arm("single"), workload, Path("nowhere"))
        async with Callers([target], sleeping.grpc_url, Access()) as (send,):
            opened = await run_open(send, [(at / 40, at) for at in range(120)])
            return opened, await run_closed(send, range(120), 1)

    opened, closed = asyncio.run(both())
    late = [sample.request for sample in opened.samples if sample.latency > 0.25]
    # A second at 40 a second: those due in its first three quarters waited for a quarter of a second or more.
    assert late[0] == 30
    assert 28 <= len(late) <= 45
    assert late == list(range(30, 30 + len(late)))
    # One caller at a time, as many tools measure: a single slow request.
    assert sum(sample.latency > 0.25 for sample in closed.samples) == 1


def test_wrong_answers_are_reported_however_fast(compare):
    sentences = conclusions(summarise(compare("constant_20", "wrong", SHORT), 1e-5))
    assert sentences[0].startswith(
        "WRONG: constant_20 and wrong do not give the same answers. The largest difference is 1"
    )


def test_failed_requests_are_counted_with_their_error(compare):
    outcome = compare("single", "constant_20", SHORT, ["a text", "fail"])
    (load,) = summarise(outcome, 1e-5).loads
    for arm in load.arms:
        ((message, count),) = arm.errors.items()
        assert "set to fail" in message
        assert count == pytest.approx(arm.requests / 2, abs=1)


def test_triton_says_where_the_time_went(compare):
    (load,) = summarise(compare("constant_20", "constant_26", SHORT), 1e-5).loads
    for arm, name, seconds in zip(load.arms, ("constant_20", "constant_26"), (0.020, 0.026), strict=True):
        # Triton counts a request after it has answered, on a busy machine too late for its block.
        assert arm.spent[name].requests == pytest.approx(arm.requests, abs=2)
        assert seconds <= arm.spent[name].per_request("compute_infer") < seconds + 0.01


def test_an_open_loop_without_a_rate_runs_at_half_of_what_the_slower_arm_reached(compare):
    outcome = compare("constant_20", "constant_26", plan(rates=(None,)))
    closed, opened = outcome.measured
    slower = min(sum(len(b.samples) for b in blocks) / sum(b.seconds for b in blocks) for blocks in closed.blocks)
    assert opened.load.rate == pytest.approx(slower / 2)


def test_the_client_keeps_up(compare):
    outcome = compare("single", "single", plan(concurrencies=(), rates=(50.0,), seconds=4.0))
    (load,) = summarise(outcome, 1e-5).loads
    for arm in load.arms:
        assert 0 <= arm.lag_ms[0] <= arm.lag_ms[1]
        assert 0 < arm.client_share < 0.5
        assert arm.unsent == 0
