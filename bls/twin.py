"""The BLS twin of any ensemble: every request runs the ensemble's graph, its steps packed with those of others."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.comparison import Shadow, Source
from readability_triton.bls.lanes import CallModel
from readability_triton.bls.policy import RequestError
from readability_triton.bls.request import Arrival
from readability_triton.bls.row_queue import Owner
from readability_triton.bls.runtime import Runtime, Work
from readability_triton.bls.settings import Settings, number
from readability_triton.bls.spans import Spans
from readability_triton.bls.stages import (
    CancelledRequestError,
    StageBusyError,
    StageError,
    StageLateError,
    Stages,
    Tensor,
)
from readability_triton.bls.tally import Tally
from readability_triton.bls.tensor_comparison import TensorComparator
from readability_triton.bls.watchdog import Watchdog
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.prune import prune
from readability_triton.ensemble.run import run
from readability_triton.ensemble.twin import SPANS
from readability_triton.stages.arrays import to_host
from readability_triton.stages.errors import InvalidRowError

_NAMES_A_ROW = re.compile(r"(in ensemble '[^']*', )*row \d+: ")

Answer = dict[str, NDArray[Any]] | Exception

Step = Callable[[Stages, str, Mapping[str, Tensor], Sequence[str]], Awaitable[Mapping[str, Tensor]]]
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


@dataclass(frozen=True)
class Shadowing:
    """The twin in the shadow of its ensemble, which answers in its place.

    Attributes:
        share: of the requests, 0 to 1, that run through the twin's steps too, after the answer has been sent.
        tolerance: the greatest difference of two numbers that are the same.
        timeout_s: seconds that each run in shadow may take.
    """

    share: float
    tolerance: float
    timeout_s: float

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> "Shadowing | None":
        """From the model's configuration; None without the parameter `shadow_share`: the twin's steps answer.

        Raises:
            ValueError: for a value that is none.
        """
        if "shadow_share" not in parameters:
            return None
        share = number("shadow_share", parameters["shadow_share"])
        if share > 1:
            raise ValueError(f"parameter shadow_share is a number from 0 to 1, not {share:g}")
        tolerance = number("shadow_tolerance", parameters.get("shadow_tolerance", "1e-5"))
        return cls(share, tolerance, number("shadow_timeout_ms", parameters.get("shadow_timeout_ms", "2000")) / 1000)


class Twin(Runtime):
    """The twin of an ensemble: an answer is a dict of arrays by output name.

    A request's parameters, and the time that it has left, go to every step, as in an ensemble.

    Args:
        name: the twin's.
        dag: the ensemble's.
        step: makes a step's call.
        settings, repository, call_model, tally, watchdog: see `Runtime`.
        shadowing: None if the steps answer.
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
        shadowing: Shadowing | None = None,
    ) -> None:
        super().__init__(name, settings, repository, call_model, tally, watchdog)
        self._dag, self._step, self._shadowing = dag, step, shadowing
        self._by_ensemble, self._by_steps = Source(dag.name, self._ask_ensemble), Source(name, self._run_steps)

    def check(self, request: Request) -> Work:
        """Nothing to check: the steps do."""
        return partial(self._run, request)

    async def _run(self, request: Request, owner: Owner, stages: Stages) -> dict[str, NDArray[Any]]:
        owner.passes_on, owner.parameters = True, tuple(sorted(request.parameters.items()))
        wants_spans = SPANS in request.outputs and SPANS not in self._dag.outputs
        if wants_spans:
            request = replace(request, outputs=[name for name in request.outputs if name != SPANS])
        answer = await (self._run_steps if self._shadowing is None else self._run_in_shadow)(stages, request)
        if not wants_spans:
            return answer
        spans = Spans(request.arrived, asyncio.get_running_loop().time(), tuple(owner.calls))
        return {**answer, SPANS: _in_first_row(spans, request)}

    async def _run_steps(self, stages: Stages, request: Request) -> dict[str, NDArray[Any]]:
        dag = prune(self._dag, request.outputs or self._dag.outputs)
        found = await run(dag, partial(self._step, stages), request.tensors)
        return {name: to_host(found[name]) for name in request.outputs if name in found}

    async def _ask_ensemble(self, stages: Stages, request: Request) -> dict[str, NDArray[Any]]:
        # All outputs: for some only, Triton 24.10 may leave out too many steps.
        found = await stages.call(self._dag.name, request.tensors, self._dag.outputs)
        return {name: to_host(found[name]) for name in request.outputs if name in found}

    async def _run_in_shadow(self, stages: Stages, request: Request) -> dict[str, NDArray[Any]]:
        assert self._shadowing is not None
        answer = await self._ask_ensemble(stages, request)
        stages.after_answer(
            Shadow(
                request,
                self._by_ensemble,
                self._by_steps,
                answer,
                asyncio.get_running_loop().time() - request.arrived,
                self._shadowing.share,
                self._shadowing.tolerance,
                self._shadowing.timeout_s,
                is_paired=True,
                comparator=TensorComparator(request.is_batched, len(request)),
                parameters=tuple(sorted(request.parameters.items())),
            )
        )
        return answer


def _in_first_row(spans: Spans, request: Request) -> NDArray[Any]:
    """The spans are the request's, and an output has a row for each of its rows."""
    rows = np.full((len(request), 1) if request.is_batched else (1,), b"", dtype=object)
    rows.flat[0] = spans.as_json()
    return rows


async def call_as_is(
    stages: Stages, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]
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
