"""Glue: one batch of requests to `bls.orchestrator` and its answers back to Triton."""

import triton_python_backend_utils as pb_utils

from bls.calls import TritonStages
from bls.orchestrator import Request, answer
from bls.policies.parallel import parallel
from stages.errors import InvalidRowError


class TritonPythonModel:
    async def execute(self, requests: list) -> list:
        answers = await answer([self._unpack(request) for request in requests], TritonStages(), parallel)
        return [self._pack(scores) for scores in answers]

    @staticmethod
    def _unpack(request) -> Request:
        excerpts, weights = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("excerpt", "BERT_WEIGHT")
        )
        return Request(excerpts, weights)

    @staticmethod
    def _pack(scores):
        if isinstance(scores, InvalidRowError):
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(scores), pb_utils.TritonError.INVALID_ARG))
        if isinstance(scores, Exception):
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(scores)))
        return pb_utils.InferenceResponse([pb_utils.Tensor("SCORE", scores)])
