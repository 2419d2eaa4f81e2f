"""Drop-in for Triton's FIL backend on machines without it: Treelite's own interpreter, or RAPIDS' on a GPU.

Same tensors (`input__0` FP32 [B, F], `output__0` FP32 [B, 1]) and the same file and parameters as the native backend,
for regression forests saved as Treelite checkpoints.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import treelite
import triton_python_backend_utils as pb_utils

from readability_triton.stages import forest
from readability_triton.stages.arrays import Array, as_array, joined

CHECKPOINT = "checkpoint.tl"


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        _refuse_unsupported({key: value["string_value"] for key, value in config["parameters"].items()})
        file = config["default_model_filename"] or CHECKPOINT
        checkpoint = Path(args["model_repository"]) / args["model_version"] / file
        if forest.n_outputs(model := forest.load_forest(checkpoint)) != 1:
            raise pb_utils.TritonModelException("the drop-in fil backend serves regression forests with one output")
        gpu = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
        self.predict = _predictor(model, checkpoint, gpu)

    def execute(self, requests: list) -> list:
        features = [as_array(pb_utils.get_input_tensor_by_name(request, "input__0")) for request in requests]
        scores = self.predict(joined(features))
        starts = np.cumsum([0, *(len(rows) for rows in features)])
        return [
            pb_utils.InferenceResponse([_tensor(scores[start : start + len(rows)])])
            for start, rows in zip(starts, features, strict=False)
        ]


def _predictor(model: treelite.Model, checkpoint: Path, gpu: int | None) -> Callable[[Array], Array]:
    if gpu is None:
        return partial(forest.predict, model)
    from readability_triton.stages.device.forest import DeviceForest  # the host needs none of it

    return DeviceForest(checkpoint, gpu).predict


def _tensor(scores: Array):
    if isinstance(scores, np.ndarray):
        return pb_utils.Tensor("output__0", scores)
    return pb_utils.Tensor.from_dlpack("output__0", scores)


def _refuse_unsupported(parameters: dict[str, str]) -> None:
    if (model_type := parameters.get("model_type")) != "treelite_checkpoint":
        raise pb_utils.TritonModelException(f"the drop-in fil backend reads treelite_checkpoint, not {model_type!r}")
    for key in ("output_class", "is_classifier", "predict_proba"):
        if parameters.get(key, "false").lower() == "true":
            raise pb_utils.TritonModelException(f"the drop-in fil backend serves regression forests; {key} is true")
