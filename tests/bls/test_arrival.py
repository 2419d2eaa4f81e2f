"""How long a request has waited, by clocks that the tests turn."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bls.arrival import IDLE_S, Arrivals

MAX_ROWS = 8


class Clocks:
    """Two clocks, set to different times, that go on together."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return 50 + self.passed

    def unix(self) -> float:
        return 1_700_000_000 + self.passed


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def arrivals(clocks: Clocks) -> Arrivals:
    return Arrivals(MAX_ROWS, clocks.monotonic, clocks.unix)


@pytest.fixture
def batch(clocks: Clocks, arrivals: Arrivals) -> Callable[..., float]:
    """Take a batch, say how long its requests have waited at most, and finish it."""

    def take(rows: int = 1, lasts: float = 1.0, idle: float = 0.0) -> float:
        clocks.passed += idle
        arrivals.take(rows)
        waited = arrivals.waited_s()
        clocks.passed += lasts
        arrivals.finish()
        return waited

    return take


def test_nobody_has_waited_for_the_first_batch(batch) -> None:
    assert batch(idle=3600) == 0


def test_a_batch_right_after_another_may_have_waited_since_that_one_was_taken(batch) -> None:
    batch(lasts=0.7)
    assert batch() == pytest.approx(0.7)


def test_a_batch_after_a_pause_has_not_waited(batch) -> None:
    batch(lasts=0.7)
    assert batch(idle=2 * IDLE_S) == 0


def test_the_moment_between_two_batches_is_no_pause(batch) -> None:
    batch(lasts=0.7)
    assert batch(idle=IDLE_S / 2) == pytest.approx(0.7 + IDLE_S / 2)


def test_rows_that_did_not_fit_into_the_last_batch_may_be_as_old_as_its_own(batch) -> None:
    batch(lasts=1.0)
    batch(rows=6, lasts=0.7)
    assert batch(rows=3, lasts=0.5) == pytest.approx(1.7)
    assert batch(rows=6, lasts=0.5) == pytest.approx(2.2)
    assert batch(rows=1) == pytest.approx(0.5)


def test_a_client_may_say_that_it_sent_later(batch, clocks, arrivals) -> None:
    batch(lasts=0.7)
    arrivals.take(1)
    assert arrivals.waited_s(clocks.unix() - 0.2) == pytest.approx(0.2)
    assert arrivals.waited_s(str(clocks.unix() - 0.2)) == pytest.approx(0.2)


def test_a_client_cannot_make_its_request_older_than_it_can_be(batch, clocks, arrivals) -> None:
    batch(lasts=0.7)
    arrivals.take(1)
    for wrong in (clocks.unix() - 3600, 0, -1e12, True, float("-inf")):
        assert arrivals.waited_s(wrong) == pytest.approx(0.7)


def test_a_clients_clock_that_is_ahead_makes_a_request_no_younger_than_new(batch, clocks, arrivals) -> None:
    batch(lasts=0.7)
    arrivals.take(1)
    assert arrivals.waited_s(clocks.unix() + 3600) == 0


@pytest.mark.parametrize("sent", [None, "", "just now", "nan", float("nan")])
def test_where_the_client_says_nothing_of_use_the_longest_time_is_assumed(batch, arrivals, sent) -> None:
    batch(lasts=0.7)
    arrivals.take(1)
    assert arrivals.waited_s(sent) == pytest.approx(0.7)


requests = st.lists(st.tuples(st.integers(0, 30), st.integers(1, MAX_ROWS)), min_size=1, max_size=20)


@given(requests, st.integers(1, 9))
def test_no_request_has_waited_longer_than_it_is_said_to(arriving: list[tuple[int, int]], lasts: int) -> None:
    """An instance with a queue, as Triton's batcher has it: what waits is taken as far as it fits."""
    clocks = Clocks()
    arrivals = Arrivals(MAX_ROWS, clocks.monotonic, clocks.unix)
    queue = sorted(arriving)
    while queue:
        clocks.passed = max(clocks.passed, float(queue[0][0]))
        batch: list[tuple[int, int]] = []
        while queue and queue[0][0] <= clocks.passed and sum(rows for _, rows in [*batch, queue[0]]) <= MAX_ROWS:
            batch.append(queue.pop(0))
        arrivals.take(sum(rows for _, rows in batch))
        for arrived, _ in batch:
            assert clocks.passed - arrived <= arrivals.waited_s() + 1e-9
        clocks.passed += lasts
        arrivals.finish()
