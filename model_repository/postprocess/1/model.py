"""Glue: the two scores and the weight to OUTPUT0 by way of `readability_triton.stages.blend`."""

import triton_python_backend_utils as pb_utils

from readability_triton.stages.blend import blend, check_weights
from readability_triton.stages.errors import InvalidRowError

INPUTS = ("BERT_WEIGHT_INPUT", "BERT_LARGE_SCORE", "CUML_SCORE")


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        weights, bert, cuml = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in INPUTS)
        try:
            check_weights(weights)
        except InvalidRowError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", blend(weights, bert, cuml))])
