"""Run candidates after answers have been sent: a bounded number, in bounded time, and only beside little else."""

import asyncio
import json
import math
import random
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from readability_triton.bls.comparison import Comparison, GivenUp, Run, Shadow, Source, Verdict
from readability_triton.bls.row_queue import BACKGROUND, Owner
from readability_triton.bls.stages import StageError, StageLateError, Stages
from readability_triton.bls.tally import SHADOW_DIFFERENCE, SHADOW_RATIO, SHADOW_TIME, SHADOWS, Tally

LONGEST = 10
"""A run that answering requests keep out is given up after so many times its limit."""

RESOLUTION_S = 1e-6
"""Of the clock: a wait may end this much early."""

DROPPED = "dropped"
"""The outcome, for `SHADOWS`, of one for which there was no room."""


class Log(Protocol):
    """Takes lines; never blocks."""

    def write(self, line: str) -> None:
        """Write a line, or drop it if the disk does not keep up."""


class Shadows:
    """The candidates' runs of one model. All methods run in the loop's thread.

    Args:
        stages_of: the stages as a request's owner sees them.
        most: runs at the same time; a request beyond that is not compared.
        kept_out_s: for how many seconds, so far, answering requests have kept shadows from going on.
        tally: counts outcomes, differences and times.
        log: takes a line for each comparison; None for no log.
        draw: a number in [0, 1), for shares and the order of runs.

    Attributes:
        running: how many run, or wait for answering requests to be done.
    """

    def __init__(
        self,
        stages_of: Callable[[Owner], Stages],
        most: int,
        kept_out_s: Callable[[], float],
        tally: Tally,
        log: Log | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._stages_of, self._most, self._kept_out_s = stages_of, most, kept_out_s
        self._tally, self._log, self._draw = tally, log, draw
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many have not ended."""
        return len(self._tasks)

    def begin(self, shadows: Iterable[Shadow]) -> None:
        """Compare what one request left behind: all of it, or, by its share, nothing."""
        drawn = self._draw()
        for shadow in shadows:
            if drawn >= shadow.share:
                continue
            if len(self._tasks) >= self._most:
                self._tally.add(SHADOWS, DROPPED)
                continue
            task = asyncio.get_running_loop().create_task(self._compare(shadow))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Give up what runs; nothing of it is counted."""
        for task in self._tasks:
            task.cancel()

    async def _compare(self, shadow: Shadow) -> None:
        try:
            comparison = await self._compared(shadow)
            self._count(comparison)
            if self._log is not None:
                self._log.write(json.dumps({"time": round(time.time(), 3)} | comparison.as_dict()))
        except Exception:  # no client waits: there is nobody else to tell
            traceback.print_exc()

    async def _compared(self, shadow: Shadow) -> Comparison:
        candidate_first, again = self._draw() < 0.5, None
        if shadow.is_paired and not candidate_first:
            again = await self._run(shadow, shadow.answer)
        candidate = await self._run(shadow, shadow.candidate)
        if shadow.is_paired and candidate_first:
            again = await self._run(shadow, shadow.answer)
        again = again if again and again.outcome is not None else None
        if candidate.outcome is not None:
            gaps = candidate.differences
            verdict: Verdict = "same" if (gaps <= shadow.tolerance).all() else "differs"
            return Comparison(shadow, verdict, candidate, again, candidate_first, gaps)
        verdict = candidate.given_up or "failed"
        return Comparison(shadow, verdict, candidate, again, candidate_first)

    async def _run(self, shadow: Shadow, source: Source) -> Run:
        loop = asyncio.get_running_loop()
        start = loop.time()
        owner = Owner(len(shadow.batch), BACKGROUND, arrived=start, deadline=start + LONGEST * shadow.timeout_s)
        owner.passes_on, owner.parameters = shadow.parameters is not None, shadow.parameters or ()
        work = asyncio.ensure_future(source.run(self._stages_of(owner), shadow.batch))
        error, given_up = "", None
        try:
            given_up = await self._wait(work, shadow.timeout_s)
            if not given_up:
                outcome = work.result()
                gaps = shadow.comparator.differences(shadow.given, outcome)
                return Run(outcome, loop.time() - start, differences=gaps)
            error = f"no answer within {1000 * shadow.timeout_s:g} ms"
        except Exception as failure:  # of a stage, or a mistake in the candidate's policy
            error = str(failure) if isinstance(failure, StageError) else f"{type(failure).__name__}: {failure}"
            given_up = "late" if isinstance(failure, StageLateError) else None
        finally:
            owner.deadline = float("-inf")  # rows that were left in a queue are not computed
            work.cancel()
        return Run(None, loop.time() - start, error, given_up)

    async def _wait(self, work: "asyncio.Future[Any]", timeout_s: float) -> GivenUp | None:
        """Wait so long, not counting the time in which answering requests go first; but not for ever."""
        loop = asyncio.get_running_loop()
        start, kept_out = loop.time(), self._kept_out_s()
        while True:
            elapsed, waited = loop.time() - start, self._kept_out_s() - kept_out
            if elapsed - waited >= timeout_s - RESOLUTION_S:
                return "late"
            if elapsed >= LONGEST * timeout_s - RESOLUTION_S:
                return "kept-out"
            left = min(timeout_s - (elapsed - waited), LONGEST * timeout_s - elapsed)
            if (await asyncio.wait([work], timeout=left))[0]:
                return None

    def _count(self, comparison: Comparison) -> None:
        self._tally.add(SHADOWS, comparison.verdict)
        for gap in comparison.differences.tolist():
            if not math.isnan(gap):
                self._tally.observe(SHADOW_DIFFERENCE, "", gap)
        if comparison.candidate.outcome is not None:
            self._tally.observe(SHADOW_TIME, "candidate", comparison.candidate.seconds)
        if comparison.again:
            self._tally.observe(SHADOW_TIME, "answer", comparison.again.seconds)
        if comparison.candidate.outcome is not None and comparison.again:
            ratio = comparison.candidate.seconds / max(comparison.again.seconds, 1e-9)
            self._tally.observe(SHADOW_RATIO, "", ratio)
