"""The queue of one stage: which rows go next."""

import heapq
import itertools
import math
from asyncio import Future
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from readability_triton.bls.spans import StageCall
from readability_triton.stages.arrays import Array

HIGHEST, NORMAL, LOWEST = 1, 2, 3
"""Priority levels, as Triton numbers them: 1 is served first."""

BACKGROUND = LOWEST + 1
"""The level of work for which no client waits. It never ages, shares no call with answering rows, and a stage begins it
only where `bls.runtime` allows: see `bls.lane`."""

CHECK_EVERY_S = 0.05
"""A request is asked whether its client is gone at most this often: the question costs some 0.1 ms."""


def never() -> bool:
    """The client of a request that cannot be cancelled is never gone."""
    return False


class Options(NamedTuple):
    """What an inner call carries besides tensors.

    Attributes:
        parameters: request parameters.
        timeout_s: seconds that are left; of several requests the longest; infinite for no limit.
        is_background: whether no client waits for it.
    """

    parameters: tuple[tuple[str, Any], ...] = ()
    timeout_s: float = math.inf
    is_background: bool = False


DEFAULT = Options()


@dataclass(eq=False)
class Owner:
    """A request as the queues see it: whose rows these are.

    Attributes:
        rows_left: rows of the request that have no answer yet.
        level: priority level, `HIGHEST` to `LOWEST`, or `BACKGROUND`.
        tenant: the client that it counts for; requests that name none share one.
        arrived: seconds by the loop's clock.
        deadline: seconds by the same clock; rows are not computed after it.
        is_cancelled: whether the client is gone.
        cancel: called once, if it is.
        passes_on: whether inner calls carry the request's parameters and the time that it has left.
        parameters: request parameters to pass on.
        calls: of stages that have ended.
    """

    rows_left: int
    level: int = NORMAL
    tenant: str = ""
    arrived: float = 0.0
    deadline: float = float("inf")
    is_cancelled: Callable[[], bool] = never
    cancel: Callable[[], object] = field(default=lambda: None)
    passes_on: bool = False
    parameters: tuple[tuple[str, Any], ...] = ()
    calls: list[StageCall] = field(default_factory=list, init=False)
    checked: float = field(default=float("-inf"), init=False)

    @property
    def is_background(self) -> bool:
        """Whether no client waits."""
        return self.level == BACKGROUND

    def is_gone(self, now: float) -> bool:
        """Whether the client is gone; a fresh request, or one that was just checked, is not asked."""
        if now - max(self.arrived, self.checked) < CHECK_EVERY_S:
            return False
        self.checked = now
        if not self.is_cancelled():
            return False
        self.cancel()
        return True


@dataclass(eq=False)
class Rows:
    """Rows of one request that wait for a stage.

    Attributes:
        owner: the request.
        inputs: arrays [n_rows, ...] by the model's names for them.
        outputs: names of the outputs that are wanted.
        n_rows: how many.
        kind: rows of equal kinds may share a call.
        answer: receives the stage's outputs for these rows.
        queued: when they came, by the loop's clock.
        first: the number of the first of them among the rows that the stage was asked for.
    """

    owner: Owner
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]
    n_rows: int
    kind: Hashable
    answer: "Future[Mapping[str, Array]]"
    queued: float
    first: int = 0
    waits: bool = field(default=False, init=False)


class RowQueue:
    """Rows in the order in which a stage computes them.

    1. Rows that have waited longer than `ageing_s` times their priority level, oldest request first: nothing
       starves, but for work in the background.
    2. The highest priority level.
    3. Within it, the tenant that was given the fewest rows since it has been waiting.
    4. Of that tenant, the request with the fewest rows left; of equal ones, the oldest.

    Args:
        ageing_s: seconds.

    Attributes:
        n_rows: rows that wait.
    """

    def __init__(self, ageing_s: float) -> None:
        self.n_rows = 0
        self._ageing_s = ageing_s
        self._order = itertools.count()
        self._shortest: dict[int, dict[str, list[tuple[int, float, int, Rows]]]] = {}
        self._oldest: dict[int, list[tuple[float, int, Rows]]] = {}
        self._given: dict[str, int] = {}  # rows given to each tenant that waits

    def put(self, rows: Rows) -> None:
        """Queue rows."""
        owner, order = rows.owner, next(self._order)
        rows.waits = True
        self.n_rows += rows.n_rows
        if owner.tenant not in self._given:
            self._given[owner.tenant] = min(self._given.values(), default=0)
        by_tenant = self._shortest.setdefault(owner.level, {})
        heapq.heappush(by_tenant.setdefault(owner.tenant, []), (owner.rows_left, owner.arrived, order, rows))
        heapq.heappush(self._oldest.setdefault(owner.level, []), (owner.arrived, order, rows))

    def remove(self, rows: Rows) -> None:
        """Take rows out of the queue, if they are in it."""
        if rows.waits:
            rows.waits = False
            self.n_rows -= rows.n_rows

    def next(self, now: float) -> Rows | None:
        """The rows that go next, which stay in the queue; None if it is empty."""
        if not self.n_rows:
            self._clear()
            return None
        return self._overdue(now) or self._shortest_of_level()

    def take(self, rows: Rows) -> None:
        """Remove rows that go to the stage, and count them for their tenant."""
        self.remove(rows)
        self._given[rows.owner.tenant] += rows.n_rows

    def _clear(self) -> None:
        """Forget what tenants were given: the queue is empty."""
        for each in (self._shortest, self._oldest, self._given):
            each.clear()

    def _overdue(self, now: float) -> Rows | None:
        overdue = []
        for level, heap in self._oldest.items():
            while heap and not heap[0][-1].waits:
                heapq.heappop(heap)
            if heap and level != BACKGROUND and now - heap[0][-1].queued > self._ageing_s * level:
                overdue.append(heap[0])
        return min(overdue)[-1] if overdue else None

    def _shortest_of_level(self) -> Rows | None:
        for level in sorted(self._shortest):
            first = min(self._firsts(self._shortest[level]), default=None)
            if first is not None:
                return first[-1]
        return None

    def _firsts(
        self, by_tenant: dict[str, list[tuple[int, float, int, Rows]]]
    ) -> Iterator[tuple[int, int, float, int, Rows]]:
        """For each tenant of a level, what orders its first rows."""
        for tenant, heap in list(by_tenant.items()):
            while heap and not heap[0][-1].waits:
                heapq.heappop(heap)
            if heap:
                yield self._given[tenant], *heap[0]
            else:
                del by_tenant[tenant]
                self._forget(tenant)

    def _forget(self, tenant: str) -> None:
        if not any(tenant in by_tenant for by_tenant in self._shortest.values()):
            del self._given[tenant]
