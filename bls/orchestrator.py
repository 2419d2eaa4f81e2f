"""The imperative pipeline: requests in, as many answers out, and one inner call a stage for all that can share it."""

import asyncio
import math
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.batch import Batch, Outcome
from readability_triton.bls.policy import Choice, Parameter, RequestError, choose
from readability_triton.bls.stages import StageBusyError, StageError, StageLateError, Stages
from readability_triton.stages import excerpts as gate
from readability_triton.stages.blend import check_weights
from readability_triton.stages.errors import InvalidRowError

MAX_WAIT = "max_wait_ms"
"""Configuration parameter: how long a request may have waited, in milliseconds. Without it, for ever."""

Answer = Outcome | InvalidRowError | RequestError | StageError


@dataclass(frozen=True)
class Request:
    """One client's request.

    Attributes:
        excerpts: object array [B, 1] of UTF-8 bytes.
        weights: FP32 [B, 1], the share of `bert-large` in each row's score.
        parameters: which policy, and its settings.
        waited_s: seconds since it arrived, at most.
    """

    excerpts: NDArray[Any]
    weights: NDArray[np.float32]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    waited_s: float = 0.0


async def answer(requests: Sequence[Request], stages: Stages, defaults: Mapping[str, str]) -> list[Answer]:
    """Score every request, or say why not, with the error that is its own.

    Invalid requests, and those that have waited too long, are turned away before any call. Of the others, those that
    ask for the same policy with the same settings share one call a stage; should that fail, each is tried on its own,
    so that no request fails for its neighbour's sake, unless a stage is busy or late. A policy that raises anything
    else is told of in Triton's log.

    Args:
        requests: the batch.
        stages: the models to call.
        defaults: the model's configuration parameters: the policy and its settings where a request does not say, and
            `MAX_WAIT`.
    """
    answers: dict[int, Answer] = {}
    groups: dict[object, list[int]] = {}
    choices: dict[int, Choice] = {}
    most_s = max_wait_s(defaults)
    for number, request in enumerate(requests):
        try:
            choices[number] = _check(request, defaults, most_s)
        except (InvalidRowError, RequestError, StageBusyError) as error:
            answers[number] = error
        else:
            choice = choices[number]
            groups.setdefault(number if choice.policy.alone else choice, []).append(number)
    scoring = [_score([requests[number] for number in group], choices[group[0]], stages) for group in groups.values()]
    scored = [await scoring[0]] if len(scoring) == 1 else await asyncio.gather(*scoring)
    for group, outcomes in zip(groups.values(), scored, strict=True):
        answers |= zip(group, outcomes, strict=True)
    return [answers[number] for number in range(len(requests))]


def max_wait_s(defaults: Mapping[str, str]) -> float:
    """How long a request may have waited, in seconds.

    Raises:
        ValueError: if the parameter is no number.
    """
    return float(defaults.get(MAX_WAIT, math.inf)) / 1000


def _check(request: Request, defaults: Mapping[str, str], most_s: float) -> Choice:
    if request.waited_s > most_s:
        raise StageBusyError(
            "queue", f"busy: this request waited {request.waited_s:.1f} s, at most {most_s:g} are allowed"
        )
    choice = choose(request.parameters, defaults)
    rows, weights = request.excerpts.shape, request.weights.shape
    if rows != weights or len(rows) != 2 or rows[0] < 1 or rows[1] != 1:
        raise RequestError(f"excerpt has shape {list(rows)} and BERT_WEIGHT {list(weights)}; both are to be [B, 1]")
    gate.decode(request.excerpts.ravel())
    check_weights(request.weights)
    return choice


async def _score(requests: Sequence[Request], choice: Choice, stages: Stages) -> list[Answer]:
    try:
        outcome = await choice.policy.run(stages, _joined(requests), **dict(choice.settings))
    except (StageBusyError, StageLateError) as error:
        return [error] * len(requests)  # it was not about what was asked: asking again, one by one, makes it worse
    except StageError as error:
        if len(requests) == 1:
            return [error]
        alone = await asyncio.gather(*(_score([request], choice, stages) for request in requests))
        return [answer for answers in alone for answer in answers]
    except Exception as error:  # a policy's own mistake is its clients' trouble, not that of the others in the batch
        traceback.print_exc()
        return [StageError(f"policy {choice.policy.name}", f"{type(error).__name__}: {error}")] * len(requests)
    return list(_split(outcome, requests))


def _joined(requests: Sequence[Request]) -> Batch:
    if len(requests) == 1:
        return Batch(requests[0].excerpts, requests[0].weights, requests[0].waited_s)
    return Batch(
        np.concatenate([request.excerpts for request in requests]),
        np.concatenate([request.weights for request in requests]),
        max(request.waited_s for request in requests),
    )


def _split(outcome: Outcome, requests: Sequence[Request]) -> Iterable[Outcome]:
    if len(requests) == 1:
        return [outcome]
    ends = np.cumsum([len(request.excerpts) for request in requests])
    return [outcome.rows(end - len(request.excerpts), end) for end, request in zip(ends, requests, strict=True)]
