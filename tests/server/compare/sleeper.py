"""A Triton model that sleeps for a set time, for tests of what measures time."""

import json
import random
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        self.kind, self.seconds, self.score = (
            parameters["kind"],
            float(parameters["seconds"]),
            float(parameters["score"]),
        )
        self.random = random.Random(args["model_instance_name"])

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        excerpt = pb_utils.get_input_tensor_by_name(request, "excerpt").as_numpy()
        time.sleep(self.random.expovariate(1 / self.seconds) if self.kind == "exponential" else self.seconds)
        if b"stall" in excerpt[0, 0]:
            time.sleep(1.0)
        if b"fail" in excerpt[0, 0]:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("set to fail"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("SCORE", np.full((1, 1), self.score, np.float32))])
