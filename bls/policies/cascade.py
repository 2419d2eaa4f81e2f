"""Policy `cascade`: the forest first, the encoder only for the excerpts where it is expected to matter."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.batch import CUML, Batch, Outcome, missing, of_both, of_cuml, on_host
from readability_triton.bls.rows import take
from readability_triton.bls.stages import Stages, Tensor
from readability_triton.stages.prepared import Prepared


async def cascade(stages: Stages, batch: Batch, *, tolerance: float = 0.37) -> Outcome:
    """Skip the encoder for rows whose score it is expected to move by at most `tolerance`.

    What is expected is learned: `gate`, a small forest, predicts how far the two scorers differ, and a row's weight
    says how much of that reaches its score. A row of weight 0 never needs the encoder.

    Args:
        stages: the models.
        batch: the rows.
        tolerance: in units of the score. docs/policies.md has the curve of what it saves and what it costs.

    Raises:
        StageError: if a stage fails.
    """
    prepared = await stages.preprocess(batch.excerpts)
    cuml, gap = await asyncio.gather(stages.cuml(prepared.features), stages.gate(prepared.features))
    matters = batch.weights * on_host(gap) > tolerance
    asked = np.flatnonzero(matters)
    if not len(asked):
        return of_cuml(cuml)
    bert = missing(len(batch))
    bert[asked] = on_host(await _encode(stages, prepared, asked, len(batch)))
    return _joined(batch, bert, cuml, matters)


async def _encode(stages: Stages, prepared: Prepared, asked: NDArray[np.intp], n_rows: int) -> Tensor:
    if len(asked) == n_rows:
        return await stages.bert(prepared.ids, prepared.mask)
    return await stages.bert(take(prepared.ids, asked), take(prepared.mask, asked))


def _joined(batch: Batch, bert: NDArray[np.float32], cuml: Tensor, matters: NDArray[np.bool_]) -> Outcome:
    both = of_both(batch, bert, cuml)
    route = np.where(matters, both.route, CUML.encode()).astype(object)
    return Outcome(np.where(matters, both.scores, both.cuml), bert, both.cuml, route, both.reasons)
