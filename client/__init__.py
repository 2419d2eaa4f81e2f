"""Score texts on a Triton server: `Scorer`, and `AsyncScorer` for services built on asyncio."""

from readability_triton.client.access import Access
from readability_triton.client.async_scorer import AsyncScorer
from readability_triton.client.errors import (
    AccessDeniedError,
    ForkedProcessError,
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)
from readability_triton.client.scorer import Scorer
from readability_triton.client.scores import Details, Scores
from readability_triton.client.split import Split

__all__ = [
    "Access",
    "AccessDeniedError",
    "AsyncScorer",
    "Details",
    "ForkedProcessError",
    "InferenceError",
    "InvalidRequestError",
    "ModelUnavailableError",
    "ReadabilityError",
    "RequestTimeoutError",
    "Scorer",
    "Scores",
    "ServerBusyError",
    "ServerUnreachableError",
    "Split",
]
