"""The lane of one stage: rows of many requests in, calls of bounded size out, a bounded number of them in flight."""

import asyncio
import math
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from readability_triton.bls.answers import Promise, check
from readability_triton.bls.row_queue import Options, Owner, RowQueue, Rows
from readability_triton.bls.settings import Limits
from readability_triton.bls.spans import StageCall
from readability_triton.bls.stages import StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import QUEUE_TIME, STAGE_CALLS, STAGE_FAILURES, STAGE_ROWS, STAGE_TIME, Tally
from readability_triton.stages.arrays import Array, joined

Run = Callable[[Mapping[str, Array], Sequence[str], Options], Awaitable[Mapping[str, Array]]]
"""Calls a stage with arrays [B, ...] by name, names of wanted outputs, and options: its outputs by name."""


_ROW = re.compile(r"(?P<where>(in ensemble '[^']*', )*)row (?P<number>\d+): ")

MARGIN = 1.25
"""A row is computed if its time left is so many times what a call takes."""


def always() -> bool:
    """Where nothing limits work in the background."""
    return True


class _Expected:
    """How long a call takes: by the second longest of the last 16, which a single slow one does not change."""

    def __init__(self) -> None:
        self.seconds, self.ended = 0.0, -math.inf
        self._last: deque[float] = deque(maxlen=16)

    def note(self, seconds: float, now: float) -> None:
        self.ended = now
        self._last.append(seconds)
        self.seconds = MARGIN * sorted(self._last)[-2] if len(self._last) > 1 else 0.0


class Lane:
    """Calls of one stage.

    Rows of different requests that are of one kind share a call, up to `limits.slice_rows`. A call that fails with rows
    of several requests in it is made again for each of them by itself, so that only a request at fault fails.

    Args:
        stage: the model's name.
        run: calls it.
        limits: rows in a call and calls in flight.
        promise: what the model's configuration says of its outputs; None for a model whose configuration is not known.
        ageing_s: see `bls.row_queue`.
        tally: counts calls and times.
        may_start_background: whether rows for which no client waits may go now. They make calls of their own, one at a
            time, which take no answering row's place in `limits`; `wake` when this turns true.

    Attributes:
        in_flight: rows in calls that have not ended.
    """

    def __init__(
        self,
        stage: str,
        run: Run,
        limits: Limits,
        promise: Promise | None,
        ageing_s: float,
        tally: Tally,
        may_start_background: Callable[[], bool] = always,
    ) -> None:
        self.stage, self.in_flight = stage, 0
        self._run, self._limits, self._promise, self._tally = run, limits, promise, tally
        self._queue = RowQueue(ageing_s)
        self._may_start_background = may_start_background
        self._calls = self._background_calls = 0
        self._dispatching = False
        self._expected = _Expected()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps only weak references

    @property
    def queued(self) -> int:
        """Rows that wait."""
        return self._queue.n_rows

    async def call(self, owner: Owner, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Outputs by name for arrays [B, ...].

        Raises:
            StageError: if the model fails, or its answer is not what its configuration says.
            StageLateError: if the deadline of `owner` comes first.
        """
        size = self._limits.slice_rows
        parts = [
            self._put(owner, part, outputs, number * size) for number, part in enumerate(self._sliced(inputs, size))
        ]
        try:
            answers = [await part for part in parts]
        finally:
            for part in parts:
                part.cancel()
        if len(answers) == 1:
            return answers[0]
        return {name: joined([answer[name] for answer in answers]) for name in answers[0]}

    def _sliced(self, inputs: Mapping[str, Array], size: int) -> list[Mapping[str, Array]]:
        if not self._is_batched or self._rows_of(inputs) <= size:
            return [inputs]
        return [
            {name: array[start : start + size] for name, array in inputs.items()}
            for start in range(0, self._rows_of(inputs), size)
        ]

    @property
    def _is_batched(self) -> bool:
        return self._promise is not None and self._promise.is_batched

    def _rows_of(self, inputs: Mapping[str, Array]) -> int:
        return len(next(iter(inputs.values()))) if self._is_batched and inputs else 1

    def _put(
        self, owner: Owner, inputs: Mapping[str, Array], outputs: Sequence[str], first: int
    ) -> "asyncio.Future[Mapping[str, Array]]":
        loop = asyncio.get_running_loop()
        shapes = tuple((name, array.dtype, array.shape[1:]) for name, array in inputs.items())
        kind = (shapes, tuple(outputs), owner.parameters, owner.is_background) if self._is_batched else object()
        n_rows = self._rows_of(inputs)
        rows = Rows(owner, inputs, tuple(outputs), n_rows, kind, loop.create_future(), loop.time(), first)
        rows.answer.add_done_callback(lambda answer: self._leave(rows, answer))
        self._queue.put(rows)
        self._dispatch_soon()
        return rows.answer

    def _leave(self, rows: Rows, answer: "asyncio.Future[Mapping[str, Array]]") -> None:
        self._queue.remove(rows)
        if not answer.cancelled():
            answer.exception()  # asyncio logs an exception that is never retrieved

    def wake(self) -> None:
        """Look whether rows in the background may go now."""
        if self.queued:
            self._dispatch_soon()

    def _dispatch_soon(self) -> None:
        """Dispatch when all requests that are ready now have queued their rows."""
        if not self._dispatching:
            self._dispatching = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatching = False
        while self._calls < self._limits.calls_in_flight and (pack := self._take()):
            self._count_call(pack, 1)
            self.in_flight += sum(rows.n_rows for rows in pack)
            task = asyncio.get_running_loop().create_task(self._call(pack))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _take(self) -> list[Rows]:
        """The rows of the next call; those whose time is up, or whose client is gone, leave the queue on the way."""
        pack: list[Rows] = []
        room = self._limits.slice_rows
        now = asyncio.get_running_loop().time()
        while rows := self._queue.next(now):
            if self._is_too_late(rows, now) or rows.owner.is_gone(now):
                self._queue.remove(rows)
                continue
            if rows.owner.is_background and (self._background_calls or not self._may_start_background()):
                break
            if pack and (rows.n_rows > room or rows.kind != pack[0].kind):
                break
            self._queue.take(rows)
            self._tally.observe(QUEUE_TIME, self.stage, now - rows.queued)
            room -= rows.n_rows
            pack.append(rows)
        return pack

    def _is_too_late(self, rows: Rows, now: float) -> bool:
        """Whether an answer would come after the deadline; if so, the request gets an error instead.

        A stage that was idle for as long as a call takes tries: else slow calls would turn everything away for good.
        """
        is_idle = not self._calls and now - self._expected.ended > self._expected.seconds
        if now + (0 if is_idle else self._expected.seconds) < rows.owner.deadline:
            return False
        if not rows.answer.done():
            rows.answer.set_exception(StageLateError(self.stage, "no time left to compute"))
        return True

    async def _call(self, pack: list[Rows]) -> None:
        loop = asyncio.get_running_loop()
        start, n_rows = loop.time(), sum(rows.n_rows for rows in pack)
        error: StageError | None = None
        outputs: Mapping[str, Array] = {}
        try:
            outputs = await self._run(_joined(pack), pack[0].outputs, _options(pack, start))
            check(self.stage, outputs, self._promise, n_rows)
        except StageError as failure:
            error = failure
        except Exception as failure:  # the stage's own mistake
            error = StageError(self.stage, f"{type(failure).__name__}: {failure}")
        seconds = loop.time() - start
        if not pack[0].owner.is_background:
            self._expected.note(seconds, start + seconds)
        self._count_call(pack, -1)
        self.in_flight -= n_rows
        self._tally.observe(STAGE_TIME, self.stage, seconds)
        self._tally.add(STAGE_CALLS, self.stage)
        self._tally.add(STAGE_ROWS, self.stage, n_rows)
        self._tally.add(STAGE_FAILURES, self.stage, error is not None)
        for rows in pack:
            rows.owner.calls.append(StageCall(self.stage, rows.n_rows, rows.queued, start, start + seconds))
        if error is None:
            _hand_out(outputs, pack)
        else:
            self._fail(pack, error)
        self._dispatch_soon()

    def _count_call(self, pack: list[Rows], change: int) -> None:
        if pack[0].owner.is_background:
            self._background_calls += change
        else:
            self._calls += change

    def _fail(self, pack: list[Rows], error: StageError) -> None:
        waiting = [rows for rows in pack if not rows.answer.done()]
        if len(pack) == 1 or isinstance(error, StageBusyError | StageLateError):
            for rows in waiting:
                rows.answer.set_exception(_renumbered(error, rows.first))
            return
        for rows in waiting:
            rows.kind = object()  # which equals no other: it shares no call again
            self._queue.put(rows)


def _renumbered(error: StageError, first: int) -> StageError:
    """An error that names a row of a slice, with the number that the row has in the request."""
    match = _ROW.match(error.reason)
    if not first or not match:
        return error
    number = int(match["number"]) + first
    return type(error)(error.stage, f"{match['where']}row {number}: {error.reason[match.end() :]}")


def _joined(pack: list[Rows]) -> Mapping[str, Array]:
    if len(pack) == 1:
        return pack[0].inputs
    return {name: joined([rows.inputs[name] for rows in pack]) for name in pack[0].inputs}


def _options(pack: list[Rows], now: float) -> Options:
    owner = pack[0].owner
    if not owner.passes_on:
        return Options(is_background=owner.is_background)
    return Options(owner.parameters, max(rows.owner.deadline for rows in pack) - now)


def _hand_out(outputs: Mapping[str, Array], pack: list[Rows]) -> None:
    start = 0
    for rows in pack:
        end = start + rows.n_rows
        if not rows.answer.done():
            share = outputs if len(pack) == 1 else {name: array[start:end] for name, array in outputs.items()}
            rows.answer.set_result(share)
        start = end
