"""The BLS twin of any ensemble: a batch of requests in, a batch of answers out, one inner call a step for all."""

import asyncio
import re
import traceback
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.stages import StageBusyError, StageError, StageLateError, Tensor
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.prune import prune
from readability_triton.ensemble.run import Call, run
from readability_triton.stages.errors import InvalidRowError

_NAMES_A_ROW = re.compile(r"(in ensemble '[^']*', )*row \d+: ")

Answer = dict[str, NDArray[Any]] | Exception


class Request(NamedTuple):
    """One client's request.

    Attributes:
        tensors: the ensemble's inputs by name; optional ones may be missing.
        outputs: the ensemble's outputs that are wanted.
    """

    tensors: Mapping[str, NDArray[Any]]
    outputs: Sequence[str]


async def answer(requests: Sequence[Request], dag: Dag, call: Call, *, joined: bool) -> list[Answer]:
    """Run an ensemble's graph for every request: the wanted outputs by name, or the exception that says why not.

    Args:
        requests: what to answer.
        dag: the ensemble's.
        call: makes a step's call.
        joined: whether the first dimension of all tensors is the batch. Then requests with the same inputs, shapes
            beyond the batch and wanted outputs share their calls; should one fail, each is tried on its own, so that no
            request fails for its neighbour's sake. Where a model is busy or late, all of them are told so.
    """
    groups: dict[Hashable, list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault(_kind(request) if joined and request.tensors else number, []).append(number)
    answered = await asyncio.gather(
        *(_answer_together([requests[number] for number in group], dag, call) for group in groups.values())
    )
    answers: dict[int, Answer] = {}
    for group, together in zip(groups.values(), answered, strict=True):
        answers |= zip(group, together, strict=True)
    return [answers[number] for number in range(len(requests))]


def code(error: Exception) -> str:
    """The name of Triton's code for an answer's exception.

    A caller of a model learns the message of its error in Triton 24.10, not the code. So that the request is at fault
    shows in the beginning of the message, which models here take from
    `readability_triton.stages.errors.InvalidRowError`.
    """
    if isinstance(error, InvalidRowError) or (isinstance(error, StageError) and _NAMES_A_ROW.match(error.reason)):
        return "INVALID_ARG"
    return "UNAVAILABLE" if isinstance(error, StageBusyError | StageLateError) else "INTERNAL"


def message(error: Exception) -> str:
    """What to tell the client of an answer's exception; for one that nobody foresaw the traceback, as Triton does."""
    if isinstance(error, StageError | InvalidRowError):
        return str(error)
    return "".join(traceback.format_exception(error))


def _kind(request: Request) -> Hashable:
    """What requests must have in common to be joined."""
    tensors = sorted((name, tensor.dtype, tensor.shape[1:]) for name, tensor in request.tensors.items())
    return tuple(tensors), frozenset(request.outputs)


async def _answer_together(requests: Sequence[Request], dag: Dag, call: Call) -> list[Answer]:
    outputs = requests[0].outputs
    try:
        found = await run(prune(dag, outputs), call, _join([request.tensors for request in requests]))
        return _split({name: _on_host(found[name]) for name in outputs if name in found}, requests)
    except Exception as error:
        if len(requests) == 1 or isinstance(error, StageBusyError | StageLateError):
            return [error] * len(requests)
        alone = await asyncio.gather(*(_answer_together([request], dag, call) for request in requests))
        return [answer for answers in alone for answer in answers]


def _join(tensors: Sequence[Mapping[str, NDArray[Any]]]) -> Mapping[str, NDArray[Any]]:
    if len(tensors) == 1:
        return tensors[0]
    return {name: np.concatenate([each[name] for each in tensors]) for name in tensors[0]}


def _split(tensors: Mapping[str, NDArray[Any]], requests: Sequence[Request]) -> list[Answer]:
    if len(requests) == 1:
        return [dict(tensors)]
    ends = np.cumsum([len(next(iter(request.tensors.values()))) for request in requests])
    for name, tensor in tensors.items():
        if tensor.shape[:1] != (ends[-1],):
            raise ValueError(f"{name} has the shape {tensor.shape}, not one row for each of {ends[-1]}")
    parts = {name: np.split(tensor, ends[:-1]) for name, tensor in tensors.items()}
    return [{name: part[number] for name, part in parts.items()} for number in range(len(requests))]


def _on_host(tensor: Tensor) -> NDArray[Any]:
    if isinstance(tensor, np.ndarray):
        return tensor
    if tensor.is_cpu():
        array: NDArray[Any] = tensor.as_numpy()
        return array
    import torch  # on a machine with a GPU only: it takes seconds and hundreds of megabytes

    return torch.from_dlpack(tensor.to_dlpack()).numpy(force=True)
