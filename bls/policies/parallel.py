"""Policy `parallel`: what the ensemble does. Both scorers see every excerpt, at the same time."""

import asyncio

from bls.stages import Scores, Stages, Tensor


async def parallel(stages: Stages, excerpts: Tensor) -> Scores:
    """Scores of the excerpts, an object array [B, 1] of UTF-8 bytes."""
    ids, mask, features = await stages.preprocess(excerpts)
    bert, cuml = await asyncio.gather(stages.bert(ids, mask), stages.cuml(features))
    return Scores(bert, cuml)
