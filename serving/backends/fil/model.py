"""Drop-in for Triton's FIL backend on machines without it: Treelite's own interpreter on the CPU.

Same tensors (`input__0` FP32 [B, F], `output__0` FP32 [B, 1]) and the same file and parameters as the native backend,
for regression forests saved as Treelite checkpoints.
"""

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from stages import forest

CHECKPOINT = "checkpoint.tl"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        _refuse_unsupported({key: value["string_value"] for key, value in config["parameters"].items()})
        checkpoint = config["default_model_filename"] or CHECKPOINT
        self.forest = forest.load_forest(Path(args["model_repository"]) / args["model_version"] / checkpoint)
        if forest.n_outputs(self.forest) != 1:
            raise pb_utils.TritonModelException("the drop-in fil backend serves regression forests with one output")

    def execute(self, requests: list) -> list:
        features = [pb_utils.get_input_tensor_by_name(request, "input__0").as_numpy() for request in requests]
        scores = forest.predict(self.forest, np.concatenate(features))
        ends = np.cumsum([len(rows) for rows in features])
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("output__0", rows)]) for rows in np.split(scores, ends[:-1])
        ]


def _refuse_unsupported(parameters: dict[str, str]) -> None:
    if (model_type := parameters.get("model_type")) != "treelite_checkpoint":
        raise pb_utils.TritonModelException(f"the drop-in fil backend reads treelite_checkpoint, not {model_type!r}")
    for key in ("output_class", "is_classifier", "predict_proba"):
        if parameters.get(key, "false").lower() == "true":
            raise pb_utils.TritonModelException(f"the drop-in fil backend serves regression forests; {key} is true")
