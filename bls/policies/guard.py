"""Policy `guard`: flag texts whose score is doubtful, or refuse them before the encoder has read them."""

import asyncio
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.batch import Batch, Outcome, of_both, of_refused, with_flags
from readability_triton.bls.rows import take
from readability_triton.bls.stages import Stages
from readability_triton.stages import flags as checks
from readability_triton.stages.prepared import Prepared

OnFlag = Literal["flag", "refuse"]


async def guard(
    stages: Stages,
    batch: Batch,
    *,
    on_flag: OnFlag = "flag",
    on_short: OnFlag = "flag",
    on_language: OnFlag = "flag",
    on_not_prose: OnFlag = "flag",
) -> Outcome:
    """Blend both scores of every row that is not refused, and say what is doubtful about each.

    Args:
        stages: the models.
        batch: the rows.
        on_flag: `refuse` rows with a flag of any kind: their score is NaN, and they are degraded.
        on_short: the same for short texts only; so may be the next two.
        on_language: for texts in other languages than English.
        on_not_prose: for code, tables, numbers, key-mashing and repetitions.

    Raises:
        StageError: if a stage fails.
    """
    by_kind = zip(checks.KINDS, (on_short, on_language, on_not_prose), strict=True)
    refused_kinds = {kind for kind, choice in by_kind if "refuse" in (choice, on_flag)}
    prepared, flags = await asyncio.gather(
        stages.preprocess(batch.excerpts), asyncio.to_thread(_flags_of, batch.excerpts)
    )
    refused = [next((kind for kind in map(checks.kind_of, row) if kind in refused_kinds), "") for row in flags]
    return with_flags(await _score_others(stages, batch, prepared, refused), flags)


def _flags_of(excerpts: NDArray[Any]) -> list[tuple[str, ...]]:
    return [checks.flags(excerpt.decode()) for excerpt in excerpts.ravel().tolist()]


async def _score_others(stages: Stages, batch: Batch, prepared: Prepared, refused: list[str]) -> Outcome:
    """Score rows that are not refused, `refused` being the kind of flag or empty for each row."""
    kept = np.flatnonzero([not kind for kind in refused])
    if len(kept) == len(batch):
        return await _scored(stages, batch, prepared)
    outcome = of_refused(refused)
    if len(kept):
        part = Prepared(*(take(tensor, kept) for tensor in prepared))
        scored = await _scored(stages, Batch(batch.excerpts[kept], batch.weights[kept], batch.waited_s), part)
        for name in ("scores", "bert", "cuml", "route", "reasons"):
            getattr(outcome, name)[kept] = getattr(scored, name)
    return outcome


async def _scored(stages: Stages, batch: Batch, prepared: Prepared) -> Outcome:
    bert, cuml = await asyncio.gather(stages.bert(prepared.ids, prepared.mask), stages.cuml(prepared.features))
    return of_both(batch, bert, cuml)
