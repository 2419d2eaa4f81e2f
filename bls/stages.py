"""The stages that a policy calls, as coroutines, and the errors that they raise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from readability_triton.ensemble.dag import Dag
from readability_triton.stages.prepared import Prepared

if TYPE_CHECKING:  # a comparison is of outcomes, which are made of tensors
    from readability_triton.bls.comparison import Shadow

Tensor = Any
"""An array of NumPy on the CPU, of CuPy on a GPU."""


class StageError(RuntimeError):
    """A stage could not answer; the message names the stage and the reason."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason


class StageBusyError(StageError):
    """A stage's queue is full."""


class StageLateError(StageError):
    """A stage has not answered in time."""


class CancelledRequestError(StageError):
    """The client has cancelled the request or disconnected."""


class Stages(Protocol):
    """The models that the pipeline calls.

    Each raises `StageError` if the model does not answer.
    """

    async def preprocess(self, excerpts: Tensor) -> Prepared:
        """Ids, mask and features of the excerpts, an object array [B, 1] of UTF-8 bytes."""

    async def bert(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scores of `bert-large`: FP32 [B, 1]."""

    async def cuml(self, features: Tensor) -> Tensor:
        """Scores of `cuml`: FP32 [B, 1]."""

    async def call(self, model: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> Mapping[str, Tensor]:
        """Any other model of the server: its outputs by name."""

    def dag(self, ensemble: str) -> Dag:
        """The graph of an ensemble of the same repository."""

    def after_answer(self, shadow: "Shadow") -> None:
        """Run these rows through a candidate when the request's answer has been sent, for a share of the requests."""
