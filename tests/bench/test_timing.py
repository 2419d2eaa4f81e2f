import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.bench import timing
from readability_triton.bench.timing import (
    Samples,
    added_latency,
    one_at_a_time,
    run_in_blocks,
    run_in_turn,
    throughput_ratio,
)

BASE = "in process"
TEXTS = [f"text {number}" for number in range(8)]


def chunks(items: list, size: int) -> list:
    return [items[at : at + size] for at in range(0, len(items), size)]


class Clock:
    """Time that passes only when an arm adds to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.calls: list[tuple[str, str]] = []
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def arm(self, name: str, seconds) -> timing.Call:
        """A call that takes `seconds(text)`."""

        def call(text: str) -> None:
            self.calls.append((name, text))
            self.now += seconds(text)

        return call


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def arms(clock) -> dict[str, timing.Call]:
    """Arms whose times hang on the text; `slow` always takes 3 ms more than the stages, `even` exactly as long."""

    def stages(text: str) -> float:
        return 0.010 * (1 + TEXTS.index(text))

    return {
        BASE: clock.arm(BASE, stages),
        "slow": clock.arm("slow", lambda text: stages(text) + 0.003),
        "even": clock.arm("even", stages),
    }


@pytest.fixture
def turns(arms) -> dict[str, Samples]:
    return run_in_turn(arms, TEXTS, 4, lambda more: None)


def test_added_latency_is_the_median_of_paired_differences(turns):
    slow, even = added_latency(turns, "slow", BASE), added_latency(turns, "even", BASE)
    assert (slow.value, slow.low, slow.high) == pytest.approx((0.003,) * 3)
    assert (even.value, even.low, even.high) == pytest.approx((0,) * 3, abs=1e-9)


def test_in_turn_every_text_goes_through_every_arm_once_a_round(arms, clock):
    done = []
    samples = run_in_turn(arms, TEXTS, 4, done.append)
    assert Counter(clock.calls) == {(name, text): 4 for name in arms for text in TEXTS}
    assert all(len(each.latencies) == 4 * len(TEXTS) for each in samples.values())
    assert sum(done) == len(clock.calls)


def test_in_turn_all_arms_do_one_text_before_the_next_and_their_order_varies(turns, clock):
    by_text = chunks(clock.calls, 3)
    assert [group[0][1] for group in by_text] == TEXTS * 4
    assert all(len({text for _, text in group}) == 1 for group in by_text)
    assert len({tuple(name for name, _ in group) for group in by_text}) > 1


def test_in_turn_the_rate_of_a_round_is_texts_over_time_spent(turns):
    seconds = sum(0.010 * (1 + number) for number in range(8))
    assert turns[BASE].rates == pytest.approx([8 / seconds] * 4)
    assert turns["slow"].rates == pytest.approx([8 / (seconds + 8 * 0.003)] * 4)


def test_in_blocks_every_arm_does_its_block_in_one_piece_in_every_round(arms, clock):
    done = []
    samples = run_in_blocks(arms, TEXTS, 6, 1, done.append)
    blocks = chunks(clock.calls, len(TEXTS))
    assert all([text for _, text in block] == TEXTS for block in blocks)
    orders = [tuple(block[0][0] for block in blocks[at : at + 3]) for at in range(0, 18, 3)]
    assert all(sorted(order) == sorted(arms) for order in orders)
    assert len(set(orders)) > 1
    assert done == [len(TEXTS)] * 18
    assert samples["slow"].latencies == pytest.approx([0.010 * (1 + number) + 0.003 for number in range(8)] * 6)
    assert samples[BASE].rates == pytest.approx([8 / 0.36] * 6)


def test_in_blocks_as_many_calls_as_asked_for_are_under_way_at_once():
    barrier = threading.Barrier(4, timeout=20)
    samples = run_in_blocks({"arm": lambda text: barrier.wait() and None}, TEXTS, 2, 4, lambda more: None)
    assert len(samples["arm"].latencies) == 16


def test_one_at_a_time_lets_one_call_in():
    inside, most = [], []

    def call(text: str) -> None:
        inside.append(text)
        most.append(len(inside))
        threading.Event().wait(0.001)
        inside.remove(text)

    run_in_blocks({"locked": one_at_a_time(call)}, TEXTS, 2, 4, lambda more: None)
    assert most == [1] * 16


def test_a_call_that_fails_is_not_counted_as_a_fast_one():
    def call(text: str) -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        run_in_blocks({"arm": call}, TEXTS, 2, 4, lambda more: None)


def test_the_throughput_ratio_is_the_median_over_rounds_of_the_ratios():
    samples = {"a": Samples(rates=[10, 30, 20, 80]), "b": Samples(rates=[10, 10, 10, 10])}
    ratio = throughput_ratio(samples, "a", "b")
    assert ratio.value == 2.5
    assert 1 <= ratio.low <= ratio.value <= ratio.high <= 8


rates = st.lists(st.floats(1, 1000), min_size=2, max_size=12)


@settings(max_examples=10)
@given(rates, st.floats(0.1, 10))
def test_an_arm_that_is_always_so_many_times_as_fast_has_that_ratio_for_certain(base, factor):
    samples = {"base": Samples(rates=base), "arm": Samples(rates=[rate * factor for rate in base])}
    ratio = throughput_ratio(samples, "arm", "base")
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((factor,) * 3)


def test_the_interval_narrows_with_more_pairs_and_stays_the_same_for_the_same_samples():
    rng = np.random.default_rng(0)

    def measured(n: int) -> timing.Interval:
        noise = np.random.default_rng(1).normal(0.003, 0.001, n)
        base = rng.uniform(0.01, 0.1, n)
        return added_latency({BASE: Samples(base.tolist()), "arm": Samples((base + noise).tolist())}, "arm", BASE)

    few, many = measured(20), measured(2000)
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert many.low < 0.003 < many.high
    assert (measured(20).low, measured(20).high) == pytest.approx((few.low, few.high))
