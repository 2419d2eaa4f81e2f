"""Policy `deadline`: answer within a time budget, from whichever scorer has answered by then."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from readability_triton.bls.batch import Batch, Outcome, of_bert, of_both, of_cuml, without_reasons
from readability_triton.bls.stages import StageError, StageLateError, Stages
from readability_triton.stages.prepared import Prepared

GRACE_S = 0.5
"""How long past the budget the policy waits for the forest where there is no other score, which takes
milliseconds. Where the budget is used up when the policy begins, from then on."""

Call = asyncio.Future[Any]


async def deadline(stages: Stages, batch: Batch, *, deadline_ms: float = 200.0) -> Outcome:
    """Blend both scores, or take the one that is there when the time is up or the other has failed.

    Args:
        stages: the models.
        batch: the rows.
        deadline_ms: milliseconds from the request's arrival at the server, time in its queue included.

    Raises:
        StageLateError: if the time is up and neither scorer has answered.
        StageError: if preprocessing fails, or both scorers do.
    """
    now = time.monotonic()
    end = now + deadline_ms / 1000 - batch.waited_s
    last = max(now, end) + GRACE_S
    calls = [preparing := _start(stages.preprocess(batch.excerpts))]
    try:
        await _wait(last, preparing)
        prepared: Prepared = _result(preparing, "preprocess")
        calls += [cuml := _start(stages.cuml(prepared.features)), bert := _start(_encode(stages, prepared, end))]
        await _wait(end, bert, cuml)
        if not bert.done() or bert.exception():
            await _wait(last, cuml)
        return _from_what_is_there(batch, bert, cuml)
    finally:
        for call in calls:
            call.cancel()  # rows that still wait for a stage are not computed


async def _encode(stages: Stages, prepared: Prepared, end: float) -> Any:
    if time.monotonic() >= end:
        raise StageLateError("bert-large", "no time left to ask")
    return await stages.bert(prepared.ids, prepared.mask)


def _from_what_is_there(batch: Batch, bert: Call, cuml: Call) -> Outcome:
    try:
        bert_scores = _result(bert, "bert-large")
    except StageError as without_bert:
        reason = _reason(without_bert)
        return without_reasons(of_cuml(_result(cuml, "cuml"), reason), batch.weights == 0)
    try:
        return of_both(batch, bert_scores, _result(cuml, "cuml"))
    except StageError as without_cuml:
        return without_reasons(of_bert(bert_scores, _reason(without_cuml)), batch.weights == 1)


def _reason(error: StageError) -> str:
    return f"{error.stage} {'late' if isinstance(error, StageLateError) else 'failed'}"


def _start(call: Coroutine[Any, Any, Any]) -> Call:
    """Start a call that may be cancelled; asyncio logs an exception that is never retrieved."""
    task = asyncio.ensure_future(call)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def _wait(end: float, *calls: Call) -> None:
    await asyncio.wait(calls, timeout=max(0.0, end - time.monotonic()))


def _result(call: Call, stage: str) -> Any:
    if not call.done():
        raise StageLateError(stage, "no answer in time")
    return call.result()
