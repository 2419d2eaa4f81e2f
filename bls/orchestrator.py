"""The imperative pipeline: every request runs its policy, a long one chunk by chunk."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from readability_triton.bls.batch import Batch, Outcome, joined
from readability_triton.bls.lanes import CallModel, RequestStages
from readability_triton.bls.policy import Choice, RequestError, choose
from readability_triton.bls.request import Request, policy_parameters
from readability_triton.bls.row_queue import Owner
from readability_triton.bls.runtime import Runtime, Work
from readability_triton.bls.settings import Settings
from readability_triton.bls.spans import Spans
from readability_triton.bls.stages import StageError
from readability_triton.bls.tally import Tally
from readability_triton.bls.watchdog import Watchdog
from readability_triton.stages import excerpts as gate
from readability_triton.stages.blend import check_weights

PIPELINE = "bls_pipeline"


class Orchestrator(Runtime):
    """`bls_pipeline`: an answer is an `Outcome`.

    Args:
        defaults: configuration parameters of the model: the policy and its settings where a request has none.
        settings, repository, call_model, tally, watchdog: see `Runtime`.

    Raises:
        PolicyError: if `defaults` names no policy, or a setting of it is not valid.
        OSError, KeyError, ValueError: if an artefact of a folded stage is missing or malformed.
    """

    def __init__(
        self,
        defaults: Mapping[str, str],
        settings: Settings,
        repository: Path,
        call_model: CallModel,
        tally: Tally,
        watchdog: Watchdog | None = None,
    ) -> None:
        choose({}, defaults)
        super().__init__(PIPELINE, settings, repository, call_model, tally, watchdog)
        self._defaults = defaults

    def check(self, request: Request) -> Work:
        """Check parameters, shapes, texts and weights."""
        choice = choose(policy_parameters(request.parameters), self._defaults)
        rows, weights = request.excerpts.shape, request.weights.shape
        if rows != weights or len(rows) != 2 or rows[0] < 1 or rows[1] != 1:
            raise RequestError(f"excerpt has shape {list(rows)} and BERT_WEIGHT {list(weights)}; expected [B, 1] twice")
        gate.decode(request.excerpts.ravel())
        check_weights(request.weights)
        return partial(self._answer, request, choice)

    async def _answer(self, request: Request, choice: Choice, owner: Owner, stages: RequestStages) -> Outcome:
        """Scores, with where the time went."""
        outcome = await self._score(request, choice, owner, stages)
        answered = asyncio.get_running_loop().time()
        return replace(outcome, spans=Spans(request.arrived, answered, tuple(owner.calls)))

    async def _score(self, request: Request, choice: Choice, owner: Owner, stages: RequestStages) -> Outcome:
        """Run the policy, for a long request chunk by chunk, some of them at a time."""
        size = self.settings.chunk_rows
        starts = range(0, len(request), size)
        if len(starts) == 1:
            return await _run(request, choice, owner, stages, 0, len(request))
        outcomes: dict[int, Outcome] = {}
        remaining = iter(starts)

        async def run_chunks() -> None:
            for start in remaining:
                end = min(start + size, len(request))
                outcomes[start] = await _run(request, choice, owner, stages, start, end)

        runners = [asyncio.ensure_future(run_chunks()) for _ in range(self.settings.chunks_in_flight)]
        try:
            await asyncio.gather(*runners)
        finally:
            for runner in runners:
                runner.cancel()
        return joined([outcomes[start] for start in starts])


async def _run(request: Request, choice: Choice, owner: Owner, stages: RequestStages, start: int, end: int) -> Outcome:
    waited_s = asyncio.get_running_loop().time() - request.arrived
    batch = Batch(request.excerpts[start:end], request.weights[start:end], waited_s)
    outcome: Any = await choice.policy.run(stages, batch, **dict(choice.settings))
    if not isinstance(outcome, Outcome) or outcome.scores.shape != batch.weights.shape:
        raise StageError(
            f"policy {choice.policy.name}",
            f"returned {_described(outcome)}; expected an Outcome with scores {list(batch.weights.shape)}",
        )
    owner.rows_left -= len(batch)
    return outcome


def _described(outcome: Any) -> str:
    return f"scores {list(outcome.scores.shape)}" if isinstance(outcome, Outcome) else type(outcome).__name__
