"""Policy `fallback`: retry a stage that fails once, then use the other score or the ensemble."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import numpy as np

from readability_triton.bls.batch import (
    Batch,
    Outcome,
    missing,
    of_bert,
    of_both,
    of_cuml,
    on_host,
    same,
    without_reasons,
)
from readability_triton.bls.stages import StageError, Stages

ENSEMBLE = "ensemble_all"


async def fallback(
    stages: Stages, batch: Batch, *, on_failure: Literal["degrade", "ensemble_all"] = "degrade"
) -> Outcome:
    """Blend both scores, or do what `on_failure` says.

    Args:
        stages: the models.
        batch: the rows.
        on_failure: `degrade` to take the other scorer's score, with a reason in every row that it makes a difference
            to; `ensemble_all` to hand the rows to the ensemble, which may have a model of its own for the stage.

    Raises:
        StageError: if there is nothing left to answer with.
    """
    try:
        prepared = await _twice(lambda: stages.preprocess(batch.excerpts))
        bert, cuml = await asyncio.gather(
            _twice(lambda: stages.bert(prepared.ids, prepared.mask)),
            _twice(lambda: stages.cuml(prepared.features)),
            return_exceptions=True,
        )
    except StageError as error:
        bert = cuml = error
    failures = [each for each in (bert, cuml) if isinstance(each, BaseException)]
    if not failures:
        return of_both(batch, bert, cuml)
    for failure in failures:
        if not isinstance(failure, StageError):
            raise failure
    if on_failure == ENSEMBLE:
        return await _from_ensemble(stages, batch)
    return _degraded(batch, bert, cuml)


async def _twice(ask: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await ask()
    except StageError:
        return await ask()


def _degraded(batch: Batch, bert: Any, cuml: Any) -> Outcome:
    if isinstance(bert, StageError) and isinstance(cuml, StageError):
        raise bert
    if isinstance(bert, StageError):
        return without_reasons(of_cuml(cuml, f"{bert.stage} failed"), batch.weights == 0)
    return without_reasons(of_bert(bert, f"{cuml.stage} failed"), batch.weights == 1)


async def _from_ensemble(stages: Stages, batch: Batch) -> Outcome:
    answer = await stages.call(ENSEMBLE, {"excerpt": batch.excerpts, "BERT_WEIGHT": batch.weights}, ["SCORE"])
    unknown = missing(len(batch))
    return Outcome(np.array(on_host(answer["SCORE"])), unknown, unknown, *same(len(batch), ENSEMBLE))
