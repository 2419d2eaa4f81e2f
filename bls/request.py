"""Requests as they arrive, and the terms on which they are scheduled."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.policy import Parameter, RequestError
from readability_triton.bls.row_queue import HIGHEST, LOWEST, NORMAL, never

PRIORITY_LEVEL, TENANT, TIMEOUT_MS = "priority_level", "tenant", "timeout_ms"
"""Request parameters of every policy. Triton keeps its own `priority` from Python models, hence a name of our own."""

LONGEST_TENANT = 256


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What every request has.

    Attributes:
        parameters: request parameters.
        arrived: seconds by the loop's clock.
        timeout_s: Triton's own request timeout; 0 for none.
        is_cancelled: whether the client is gone.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    arrived: float = 0.0
    timeout_s: float = 0.0
    is_cancelled: Callable[[], bool] = never

    def __len__(self) -> int:
        """Its rows."""
        raise NotImplementedError


@dataclass(frozen=True)
class Request(Arrival):
    """A request to `bls_pipeline`; its parameters say which policy, its settings, and the terms.

    Attributes:
        excerpts: object array [B, 1] of UTF-8 bytes.
        weights: FP32 [B, 1], the share of `bert-large` in each row's score.
    """

    excerpts: NDArray[Any]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.excerpts)


class Terms(NamedTuple):
    """How a request is scheduled.

    Attributes:
        level: priority level, 1 to 3; 1 is served first.
        tenant: the client that it counts for; requests that name none share one.
        timeout_s: seconds from arrival to answer, at most.
    """

    level: int
    tenant: str
    timeout_s: float

    @classmethod
    def of(cls, request: Arrival) -> "Terms":
        """The terms of a request; of two timeouts the shorter.

        Raises:
            RequestError: for a value that is none; the message says what it may be.
        """
        parameters = request.parameters
        timeouts = [_timeout_s(parameters[TIMEOUT_MS])] if TIMEOUT_MS in parameters else []
        timeouts += [request.timeout_s] if request.timeout_s > 0 else []
        level, tenant = parameters.get(PRIORITY_LEVEL, NORMAL), parameters.get(TENANT, "")
        if isinstance(level, bool) or level not in range(HIGHEST, LOWEST + 1):
            raise RequestError(f"parameter {PRIORITY_LEVEL} is {HIGHEST} (first) to {LOWEST}, not {level!r}")
        if not isinstance(tenant, str) or len(tenant) > LONGEST_TENANT:
            raise RequestError(f"parameter {TENANT} is a string of at most {LONGEST_TENANT} characters")
        return cls(int(level), tenant, min(timeouts, default=math.inf))


def policy_parameters(parameters: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
    """Those that are not terms."""
    return {name: value for name, value in parameters.items() if name not in (PRIORITY_LEVEL, TENANT, TIMEOUT_MS)}


def _timeout_s(value: Parameter) -> float:
    if isinstance(value, bool | str) or not value > 0:
        raise RequestError(f"parameter {TIMEOUT_MS} is a positive number of milliseconds, not {value!r}")
    return value / 1000
