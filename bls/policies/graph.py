"""Policy `graph`: run the DAG of `ensemble_all`, as its config.pbtxt has it, step by step through BLS."""

from readability_triton.bls.answers import check_scores
from readability_triton.bls.batch import Batch, Outcome, missing, on_host, same
from readability_triton.bls.stages import StageError, Stages
from readability_triton.ensemble.config import ConfigError
from readability_triton.ensemble.run import run

ENSEMBLE = "ensemble_all"
SCORERS = ("bert_large_score", "cuml_score")
"""What the ensemble calls the scores of `bert-large` and `cuml`."""


async def graph(stages: Stages, batch: Batch) -> Outcome:
    """The scores that Triton's scheduler gives, by the same steps.

    Raises:
        StageError: if a step fails, the ensemble's configuration cannot be read, or its `SCORE` is not FP32 [B, 1].
    """
    try:
        dag = stages.dag(ENSEMBLE)
    except ConfigError as error:
        raise StageError(ENSEMBLE, str(error)) from error
    tensors = await run(dag, stages.call, {"excerpt": batch.excerpts, "BERT_WEIGHT": batch.weights})
    check_scores(ENSEMBLE, "SCORE", tensors["SCORE"], len(batch))
    bert, cuml = (on_host(tensors[name]) if name in tensors else missing(len(batch)) for name in SCORERS)
    return Outcome(on_host(tensors["SCORE"]), bert, cuml, *same(len(batch), ENSEMBLE))
