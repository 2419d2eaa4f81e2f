"""Which rows go next, against the rule written down naively."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readability_triton.bls.row_queue import CHECK_EVERY_S, HIGHEST, LOWEST, Owner, RowQueue, Rows

AGEING_S = 10.0


@pytest.fixture(scope="module")
def new_rows():
    loop = asyncio.new_event_loop()

    def make(owner: Owner, n_rows: int = 1, queued: float | None = None) -> Rows:
        when = owner.arrived if queued is None else queued
        return Rows(owner, {}, (), n_rows, None, loop.create_future(), when)

    yield make
    loop.close()


owners = st.builds(
    Owner, st.integers(1, 600), st.integers(HIGHEST, LOWEST), st.sampled_from(["", "a", "b"]), st.floats(0, 40)
)


def take(queue: RowQueue, now: float) -> Rows | None:
    rows = queue.next(now)
    if rows is not None:
        queue.take(rows)
    return rows


def expected(waiting: list[Rows], given_rows: Counter[str], now: float) -> Rows:
    """The rule: overdue rows by arrival; else priority, the tenant's rows, rows left, arrival."""
    overdue = [rows for rows in waiting if now - rows.queued > AGEING_S * rows.owner.level]
    if overdue:
        firsts = [min((rows for rows in waiting if rows.owner.level == each), key=_age) for each in _levels(waiting)]
        return min((rows for rows in firsts if now - rows.queued > AGEING_S * rows.owner.level), key=_age)
    level = min(rows.owner.level for rows in waiting)
    return min(
        (rows for rows in waiting if rows.owner.level == level),
        key=lambda rows: (given_rows[rows.owner.tenant], rows.owner.rows_left, rows.owner.arrived, waiting.index(rows)),
    )


def _age(rows: Rows) -> float:
    return rows.owner.arrived


def _levels(waiting: list[Rows]) -> set[int]:
    return {rows.owner.level for rows in waiting}


@settings(deadline=None, max_examples=200)
@given(st.lists(owners, min_size=1, max_size=12, unique_by=lambda owner: owner.arrived), st.floats(0, 80))
def test_rows_go_in_the_order_of_the_rule(new_rows, some: list[Owner], later: float) -> None:
    queue, waiting, counted = RowQueue(AGEING_S), [new_rows(owner) for owner in some], Counter()
    for rows in waiting:
        queue.put(rows)
    now = 40 + later
    assert queue.n_rows == len(waiting)
    while waiting:
        taken = take(queue, now)
        assert taken is expected(waiting, counted, now)
        counted[taken.owner.tenant] += taken.n_rows
        waiting.remove(taken)
    assert take(queue, now) is None
    assert queue.n_rows == 0


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(owners, st.booleans()), max_size=20))
def test_removed_rows_are_never_taken_and_all_others_once(new_rows, some: list[tuple[Owner, bool]]) -> None:
    queue = RowQueue(AGEING_S)
    kept = []
    for owner, stays in some:
        queue.put(rows := new_rows(owner))
        if stays:
            kept.append(rows)
        else:
            queue.remove(rows)
            queue.remove(rows)
    assert queue.n_rows == len(kept)
    taken = []
    while (rows := take(queue, 0.0)) is not None:
        taken.append(rows)
    assert sorted(map(id, taken)) == sorted(map(id, kept))


@settings(deadline=None, max_examples=50)
@given(st.integers(HIGHEST, LOWEST), st.integers(1, 3))
def test_a_stream_of_urgent_short_requests_does_not_starve_a_long_one(new_rows, level: int, per_second: int) -> None:
    queue = RowQueue(AGEING_S)
    queue.put(long := new_rows(Owner(512, level, "bulk", 0.0)))
    for second in range(1, 100):
        for each in range(per_second):
            queue.put(new_rows(Owner(1, HIGHEST, f"{second} {each}", float(second))))
        if take(queue, float(second)) is long:
            break
    assert second <= AGEING_S * level + 1


def test_tenants_that_wait_get_rows_in_turn_whatever_each_has_sent(new_rows) -> None:
    queue = RowQueue(AGEING_S)
    for number in range(20):
        queue.put(new_rows(Owner(1, tenant="greedy", arrived=float(number) / 100)))
    for number in range(5):
        queue.put(new_rows(Owner(100, tenant="modest", arrived=1.0 + number)))
    first = [take(queue, 6.0).owner.tenant for _ in range(10)]
    assert Counter(first) == {"greedy": 5, "modest": 5}


def test_a_tenant_that_comes_late_has_no_claim_to_what_others_were_given_before(new_rows) -> None:
    queue = RowQueue(AGEING_S)
    for _ in range(20):
        queue.put(new_rows(Owner(1, tenant="early")))
    for _ in range(10):
        take(queue, 0.0)
    for _ in range(10):
        queue.put(new_rows(Owner(1, tenant="late")))
    assert Counter(take(queue, 0.0).owner.tenant for _ in range(10)) == {"early": 5, "late": 5}


def test_a_client_is_asked_at_most_every_so_often_and_never_at_once() -> None:
    asked, cancelled = [], []

    def is_cancelled() -> bool:
        asked.append(True)
        return True

    owner = Owner(1, arrived=5.0, is_cancelled=is_cancelled, cancel=lambda: cancelled.append(True))
    assert not owner.is_gone(5.0 + CHECK_EVERY_S / 2)
    assert not asked
    assert owner.is_gone(5.0 + 1.1 * CHECK_EVERY_S)
    assert not owner.is_gone(5.0 + 1.5 * CHECK_EVERY_S)
    assert len(asked) == len(cancelled) == 1
