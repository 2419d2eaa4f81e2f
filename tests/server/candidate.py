"""A candidate in shadow of ensemble_all that, by the name of a file beside it, hangs, fails, dies or differs."""

import os
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils

FOLDER = Path(__file__).parent


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        while (FOLDER / "hangs").exists():
            time.sleep(0.02)
        if (FOLDER / "dies").exists():
            os._exit(1)
        if (FOLDER / "fails").exists():
            raise RuntimeError("in a bad mood")
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in ("excerpt", "BERT_WEIGHT")]
        asked = pb_utils.InferenceRequest(model_name="ensemble_all", requested_output_names=["SCORE"], inputs=tensors)
        scores = pb_utils.get_output_tensor_by_name(asked.exec(), "SCORE").as_numpy()
        gap = 0.25 if (FOLDER / "differs").exists() else 0.0
        return pb_utils.InferenceResponse([pb_utils.Tensor("SCORE", (scores + gap).astype("float32"))])
