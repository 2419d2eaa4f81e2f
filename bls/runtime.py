"""Accept requests at any time, run each on its own coroutine, and answer each exactly once."""

import asyncio
import math
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from readability_triton.bls.answer import AnswerOnce, Respond
from readability_triton.bls.lanes import CallModel, Lanes, RequestStages
from readability_triton.bls.policy import RequestError
from readability_triton.bls.request import Arrival, Terms
from readability_triton.bls.row_queue import Owner
from readability_triton.bls.settings import Settings
from readability_triton.bls.shadow_log import ShadowLog
from readability_triton.bls.shadows import Shadows
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import REQUEST_TIME, Tally
from readability_triton.bls.watchdog import Watchdog
from readability_triton.stages.errors import InvalidRowError

CANCEL_POLL_S = 0.1
CHECKED_PER_POLL = 8
"""Requests that are asked, every `CANCEL_POLL_S`, whether their client is gone. Rows that a stage is about to compute
are asked too (`bls.lane`), so that this only bounds how long the rows of clients that are gone count as queued."""

Work = Callable[[Owner, RequestStages], Awaitable[Any]]
"""Computes the answer to a request."""


class Runtime(ABC):
    """Owns the queues of one model. All methods run in the loop's thread.

    Args:
        name: the model's.
        settings: see `bls.settings`.
        repository: the model repository.
        call_model: calls a model of the server.
        tally: counts rows and times.
        watchdog: answers requests whose deadline has passed even if this loop stands still.

    Attributes:
        rows_waiting: rows of all requests without an answer.

    Raises:
        OSError, KeyError, ValueError: if an artefact of a folded stage is missing or malformed, or the log of shadows
            cannot be written.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        repository: Path,
        call_model: CallModel,
        tally: Tally,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.settings, self.rows_waiting = settings, 0
        self._name, self._tally = name, tally
        self._watchdog = watchdog or Watchdog()
        self._lanes = Lanes(settings, repository, call_model, tally, self._may_shadow)
        self._running: dict[asyncio.Task[None], Owner] = {}
        self._kept_out_s, self._kept_out_since = 0.0, math.inf
        log = None
        if settings.shadow_log:
            log = ShadowLog(settings.shadow_log, settings.shadow_log_mb * 1_000_000)
        self._shadow_log = log
        self._shadows = Shadows(self._lanes.stages_of, settings.shadow_in_flight, self._shadows_kept_out_s, tally, log)
        self._poll: asyncio.TimerHandle | None = None

    @abstractmethod
    def check(self, request: Any) -> Work:
        """How to compute the answer to a request.

        Raises:
            InvalidRowError, RequestError: if the request is not valid.
        """

    def accept_all(self, requests: Iterable[tuple[Arrival, Respond]]) -> None:
        """Begin to answer requests that came at the same time, so that they can share calls."""
        for request, respond in requests:
            self.accept(request, respond)

    def accept(self, request: Arrival, respond: Respond) -> None:
        """Begin to answer a request. `respond` is called once, maybe before this returns.

        A request that is not valid fails with `InvalidRowError` or `RequestError`, one for whose rows there is no room
        with `StageBusyError`, one whose deadline passes with `StageLateError`, one whose client is gone with
        `CancelledRequestError`, and one whose computation fails with `StageError`.
        """
        answer = AnswerOnce(respond, request.is_cancelled)
        try:
            terms = Terms.of(request)
            work = self.check(request)
            self._check_room(len(request))
        except (InvalidRowError, RequestError, StageBusyError) as error:
            answer.send(error)
            return
        owner = Owner(
            len(request),
            terms.level,
            terms.tenant,
            request.arrived,
            request.arrived + min(terms.timeout_s, self.settings.max_wait_s),
            answer.is_cancelled,
        )
        self.rows_waiting += len(request)
        self._watchdog.add(answer, owner.deadline)
        task = asyncio.get_running_loop().create_task(self._serve(request, work, owner, answer))
        owner.cancel = task.cancel
        self._running[task] = owner
        if not self._may_shadow():
            self._kept_out_since = min(self._kept_out_since, asyncio.get_running_loop().time())
        task.add_done_callback(self._end)
        self._poll_later()

    def close(self) -> None:
        """Give up comparisons with candidates: no client waits for them."""
        self._shadows.close()
        if self._shadow_log:
            self._shadow_log.close()

    def _may_shadow(self) -> bool:
        return len(self._running) <= self.settings.shadow_beside

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not self._may_shadow():
            return
        self._kept_out_s, self._kept_out_since = self._shadows_kept_out_s(), math.inf
        if self._shadows.running:
            self._lanes.wake()

    def _shadows_kept_out_s(self) -> float:
        """For how long, so far, shadows had to wait."""
        return self._kept_out_s + max(0.0, asyncio.get_running_loop().time() - self._kept_out_since)

    def gauges(self) -> Mapping[str, tuple[int, int]]:
        """Rows that wait for each stage, and rows that are in it."""
        return {lane.stage: (lane.queued, lane.in_flight) for lane in self._lanes}

    def _check_room(self, n_rows: int) -> None:
        most = self.settings.max_queued_rows
        if self.rows_waiting + n_rows > most:
            raise StageBusyError("queue", f"busy: {self.rows_waiting} rows wait, {most} may, {n_rows} more came")

    async def _serve(self, request: Arrival, work: Work, owner: Owner, answer: AnswerOnce) -> None:
        result: Any = StageError(self._name, "ended without an answer")
        stages = self._lanes.stages_of(owner)
        try:
            async with asyncio.timeout_at(None if math.isinf(owner.deadline) else owner.deadline):
                result = await work(owner, stages)
        except TimeoutError:
            result = self._late(request, owner)
        except asyncio.CancelledError:
            result = CancelledRequestError(self._name, "the client has cancelled the request")
        except (StageError, InvalidRowError, RequestError) as error:
            result = error
        except Exception as error:  # a mistake in a policy or a condition fails its own request only
            traceback.print_exc()
            result = StageError(self._name, f"{type(error).__name__}: {error}")
        finally:
            self.rows_waiting -= len(request)
            owner.deadline = -math.inf  # rows that were left in a queue are not computed
            self._watchdog.remove(answer)
            answer.send(result)
            self._tally.observe(REQUEST_TIME, "", asyncio.get_running_loop().time() - request.arrived)
            if stages.shadows and not isinstance(result, Exception):
                self._shadows.begin(stages.shadows)

    def _late(self, request: Arrival, owner: Owner) -> StageLateError:
        return StageLateError(
            self._name,
            f"no answer within {1000 * (owner.deadline - request.arrived):g} ms, the request's timeout; "
            f"{owner.rows_left} of {len(request)} rows were not done",
        )

    def _poll_later(self) -> None:
        if self._poll is None:
            self._poll = asyncio.get_running_loop().call_later(CANCEL_POLL_S, self._check_clients)

    def _check_clients(self) -> None:
        """Cancel requests whose clients are gone; those first that were asked longest ago."""
        self._poll = None
        now = asyncio.get_running_loop().time()
        for owner in sorted(self._running.values(), key=lambda owner: owner.checked)[:CHECKED_PER_POLL]:
            owner.is_gone(now)
        if self._running:
            self._poll_later()
