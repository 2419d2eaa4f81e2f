"""The BLS twin of any ensemble: every request runs the ensemble's graph, its steps packed with those of others."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from readability_triton.bls.lanes import CallModel, RequestStages
from readability_triton.bls.policy import RequestError
from readability_triton.bls.request import Arrival
from readability_triton.bls.row_queue import Owner
from readability_triton.bls.runtime import Runtime, Work
from readability_triton.bls.settings import Settings
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError, Tensor
from readability_triton.bls.tally import Tally
from readability_triton.bls.watchdog import Watchdog
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.prune import prune
from readability_triton.ensemble.run import run
from readability_triton.stages.arrays import to_host
from readability_triton.stages.errors import InvalidRowError

_NAMES_A_ROW = re.compile(r"(in ensemble '[^']*', )*row \d+: ")

Answer = dict[str, NDArray[Any]] | Exception

Step = Callable[[RequestStages, str, Mapping[str, Tensor], Sequence[str]], Awaitable[Mapping[str, Tensor]]]
"""Makes a step's call: the request's stages, the model, arrays by the model's names, and names of wanted outputs."""


@dataclass(frozen=True)
class Request(Arrival):
    """One client's request.

    Attributes:
        tensors: the ensemble's inputs by name, arrays; optional ones may be missing.
        outputs: the ensemble's outputs that are wanted.
        is_batched: whether the first dimension of all tensors is the batch.
    """

    tensors: Mapping[str, NDArray[Any]]
    outputs: Sequence[str]
    is_batched: bool = True

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values()))) if self.is_batched and self.tensors else 1


class Twin(Runtime):
    """The twin of an ensemble: an answer is a dict of arrays by output name.

    A request's parameters, and the time that it has left, go to every step, as in an ensemble.

    Args:
        name: the twin's.
        dag: the ensemble's.
        step: makes a step's call.
        settings, repository, call_model, tally, watchdog: see `Runtime`.
    """

    def __init__(
        self,
        name: str,
        dag: Dag,
        step: Step,
        settings: Settings,
        repository: Path,
        call_model: CallModel,
        tally: Tally,
        watchdog: Watchdog | None = None,
    ) -> None:
        super().__init__(name, settings, repository, call_model, tally, watchdog)
        self._dag, self._step = dag, step

    def check(self, request: Request) -> Work:
        """Nothing to check: the steps do."""
        return partial(self._run, request)

    async def _run(self, request: Request, owner: Owner, stages: RequestStages) -> dict[str, NDArray[Any]]:
        owner.passes_on, owner.parameters = True, tuple(sorted(request.parameters.items()))
        found = await run(prune(self._dag, request.outputs), partial(self._step, stages), request.tensors)
        return {name: to_host(found[name]) for name in request.outputs if name in found}


async def call_as_is(
    stages: RequestStages, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]
) -> Mapping[str, Tensor]:
    """The step of an ensemble: without conditions."""
    return await stages.call(model, inputs, outputs)


def code(error: Exception) -> str:
    """The name of Triton's code for an answer's exception.

    A caller of a model gets the message of its error in Triton 24.10, not the code. That the request is at fault shows
    in the beginning of the message, which models here take from `readability_triton.stages.errors.InvalidRowError`.
    """
    if isinstance(error, CancelledRequestError):
        return "CANCELLED"
    names_a_row = isinstance(error, StageError) and _NAMES_A_ROW.match(error.reason)
    if names_a_row or isinstance(error, InvalidRowError | RequestError):
        return "INVALID_ARG"
    return "UNAVAILABLE" if isinstance(error, StageBusyError | StageLateError) else "INTERNAL"
