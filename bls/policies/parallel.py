"""Policy `parallel`: what the ensemble does. Both scorers see every excerpt, at the same time."""

import asyncio

from readability_triton.bls.batch import Batch, Outcome, of_both
from readability_triton.bls.stages import Stages


async def parallel(stages: Stages, batch: Batch) -> Outcome:
    """Blend both scores of every row."""
    ids, mask, features = await stages.preprocess(batch.excerpts)
    bert, cuml = await asyncio.gather(stages.bert(ids, mask), stages.cuml(features))
    return of_both(batch, bert, cuml)
