"""Policy `shadow`: answer as before, and try a candidate on the same texts after the answer has been sent."""

import asyncio
from functools import partial
from typing import Literal
from urllib.parse import parse_qsl

import numpy as np

from readability_triton.bls.answers import check_scores
from readability_triton.bls.batch import Batch, Outcome, missing, on_host, same
from readability_triton.bls.comparison import Shadow, Source
from readability_triton.bls.policy import Choice, RequestError, choose, policy_names
from readability_triton.bls.stages import StageError, Stages

NOT_IN_SHADOW = ("shadow", "bls_pipeline")
"""They would shadow in turn."""


async def shadow(
    stages: Stages,
    batch: Batch,
    *,
    answer: str = "ensemble_all",
    candidate: str = "parallel",
    share: float = 0.1,
    tolerance: float = 1e-5,
    candidate_timeout_ms: float = 2000.0,
    times: Literal["paired", "candidate"] = "paired",
    log_texts: Literal["no", "yes"] = "no",
) -> Outcome:
    """Answer by `answer`; for a share of the requests, `candidate` runs later and is compared.

    Args:
        stages: the models.
        batch: the rows.
        answer: a policy, with settings as in `deadline?deadline_ms=100`, or a model with the ensemble's tensors.
        candidate: the same.
        share: of requests, 0 to 1.
        tolerance: the greatest difference of two scores that are the same.
        candidate_timeout_ms: milliseconds that each run in shadow may take, while answering requests let it go on.
        times: `paired` runs the answer's source again next to the candidate, in random order and on the same terms:
            only such times are comparable. `candidate` saves that run.
        log_texts: whether texts whose scores differ go into the log.

    Raises:
        RequestError: if `answer` or `candidate` cannot be run, or `share` is above 1.
        StageError: if the answer's source fails.
    """
    answering, trying = _source(answer), _source(candidate)
    if share > 1:
        raise RequestError(f"parameter share is a number from 0 to 1, not {share!r}")
    loop = asyncio.get_running_loop()
    start = loop.time()
    outcome = await answering.run(stages, batch)
    stages.after_answer(
        Shadow(
            Batch(batch.excerpts, batch.weights),
            answering,
            trying,
            outcome,
            loop.time() - start + batch.waited_s,
            share,
            tolerance,
            candidate_timeout_ms / 1000,
            times == "paired",
            log_texts == "yes",
        )
    )
    return outcome


def _source(name: str) -> Source:
    head, _, query = name.partition("?")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    if head in NOT_IN_SHADOW or not head:
        raise RequestError(f"{head or 'an empty name'} cannot run in shadow; name another policy or a model")
    if head in policy_names():
        return Source(name, partial(_by_policy, choose({"policy": head, **settings}, {})))
    if settings:
        raise RequestError(f"model {head} takes no settings; there are the policies {', '.join(policy_names())}")
    return Source(name, partial(_by_model, head))


async def _by_policy(choice: Choice, stages: Stages, batch: Batch) -> Outcome:
    return await choice.policy.run(stages, batch, **dict(choice.settings))


async def _by_model(model: str, stages: Stages, batch: Batch) -> Outcome:
    given = await stages.call(model, {"excerpt": batch.excerpts, "BERT_WEIGHT": batch.weights}, ["SCORE"])
    if "SCORE" not in given:
        raise StageError(model, "output SCORE is missing from the answer")
    check_scores(model, "SCORE", given["SCORE"], len(batch))
    unknown = missing(len(batch))
    return Outcome(np.array(on_host(given["SCORE"])), unknown, unknown, *same(len(batch), model))
