"""A model in the place of bert-large that fails, or hangs, while a file `fails` or `hangs` lies beside it."""

import time
from pathlib import Path

import triton_python_backend_utils as pb_utils

FOLDER = Path(__file__).parent


class TritonPythonModel:
    def execute(self, requests: list) -> list:
        while (FOLDER / "hangs").exists():
            time.sleep(0.02)
        if (FOLDER / "fails").exists():
            raise RuntimeError("in a bad mood")
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        mask = pb_utils.get_input_tensor_by_name(request, "INPUT__1").as_numpy()
        lengths = mask.sum(axis=1, keepdims=True).astype("float32")
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT__0", lengths)])
