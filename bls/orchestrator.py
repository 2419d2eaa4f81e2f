"""The imperative pipeline: a batch of requests in, a batch of answers out, one inner call a stage for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bls.stages import Scores, StageError, Stages, Tensor
from stages import excerpts as gate
from stages.blend import blend, check_weights
from stages.errors import InvalidRowError

Policy = Callable[[Stages, Tensor], Awaitable[Scores]]
Answer = NDArray[np.float32] | InvalidRowError | StageError


class Request(NamedTuple):
    """One client's request.

    Attributes:
        excerpts: object array [B, 1] of UTF-8 bytes.
        weights: FP32 [B, 1], the share of `bert-large` in each row's score.
    """

    excerpts: NDArray[Any]
    weights: NDArray[np.float32]


async def answer(requests: Sequence[Request], stages: Stages, policy: Policy) -> list[Answer]:
    """Score every request, or say why not: its scores, FP32 [B, 1], or the error that is its own.

    Invalid requests are turned away before any call. The others share one call a stage; should that call fail, each is
    tried on its own, so that no request fails for its neighbour's sake.
    """
    answers: dict[int, Answer] = {}
    for number, request in enumerate(requests):
        try:
            _check(request)
        except InvalidRowError as error:
            answers[number] = error
    valid = [number for number in range(len(requests)) if number not in answers]
    answers |= zip(valid, await _score([requests[number] for number in valid], stages, policy), strict=True)
    return [answers[number] for number in range(len(requests))]


def _check(request: Request) -> None:
    gate.decode(request.excerpts.ravel())
    check_weights(request.weights)


async def _score(requests: Sequence[Request], stages: Stages, policy: Policy) -> list[Answer]:
    if not requests:
        return []
    try:
        scores = await policy(stages, np.concatenate([request.excerpts for request in requests]))
    except StageError as error:
        if len(requests) == 1:
            return [error]
        alone = await asyncio.gather(*(_score([request], stages, policy) for request in requests))
        return [answer for answers in alone for answer in answers]
    blended = blend(np.concatenate([request.weights for request in requests]), *map(_on_host, scores))
    ends = np.cumsum([len(request.excerpts) for request in requests])
    return np.split(blended, ends[:-1])


def _on_host(scores: Tensor) -> NDArray[np.float32]:
    return scores if isinstance(scores, np.ndarray) else scores.as_numpy()
