"""Adds its inputs, after as many milliseconds as the file `delay_ms` beside it says."""

import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

DELAY = Path(__file__).with_name("delay_ms")


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        time.sleep(float(DELAY.read_text()) / 1000)
        total = np.sum([tensor.as_numpy() for tensor in request.inputs()], axis=0, dtype=np.float32)
        if np.isnan(total).any():
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("not a number"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("SUM", total)])
