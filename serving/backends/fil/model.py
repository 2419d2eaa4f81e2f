"""Drop-in for Triton's FIL backend on machines without it: Treelite's own interpreter, or RAPIDS' on a GPU.

It follows the native backend (docs/native-backends.md): `input__0` FP32 [B, F], `output__0` FP32 [B] without dimensions
of 1, which `output { reshape }` in `config.pbtxt` brings back; the same file and parameters. It serves regression
forests saved as Treelite checkpoints, and refuses others by name.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import treelite
import triton_python_backend_utils as pb_utils

from readability_triton.stages import forest
from readability_triton.stages.arrays import Array, as_array, joined

CHECKPOINT, CHECKPOINT_TYPE = "checkpoint.tl", "treelite_checkpoint"
DEFAULT_TYPE = "xgboost"
INPUT, OUTPUT = "input__0", "output__0"
ALL_CORES = -1
"""Of `cpu_nthread`, and its default."""


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        _check_parameters(parameters)
        _check_tensors(config)
        file = config["default_model_filename"] or CHECKPOINT
        checkpoint = Path(args["model_repository"]) / args["model_version"] / file
        if not checkpoint.is_file():
            raise pb_utils.TritonModelException(f"Could not open model file {checkpoint}")
        model = forest.load_forest(checkpoint)
        _check_forest(model, config)
        gpu = int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None
        self.predict = _predictor(model, checkpoint, gpu, _threads(parameters))

    def execute(self, requests: list) -> list:
        features = [as_array(pb_utils.get_input_tensor_by_name(request, INPUT)) for request in requests]
        scores = self.predict(joined(features)).reshape(-1)  # the native backend erases every dimension of 1
        starts = np.cumsum([0, *(len(rows) for rows in features)])
        return [
            pb_utils.InferenceResponse([_tensor(scores[start : start + len(rows)])])
            for start, rows in zip(starts, features, strict=False)
        ]


def _predictor(model: treelite.Model, checkpoint: Path, gpu: int | None, threads: int) -> Callable[[Array], Array]:
    if gpu is None:
        predict = partial(forest.predict, model, threads=threads)
        try:
            predict(np.zeros((1, model.num_feature), np.float32))  # more threads than OpenMP has are an error
        except treelite.TreeliteError as error:
            raise pb_utils.TritonModelException(f"cpu_nthread {threads}: {error}") from error
        return predict
    from readability_triton.stages.device.forest import DeviceForest  # the host needs none of it

    return DeviceForest(checkpoint, gpu).predict


def _tensor(scores: Array):
    if isinstance(scores, np.ndarray):
        return pb_utils.Tensor(OUTPUT, scores)
    return pb_utils.Tensor.from_dlpack(OUTPUT, scores)


def _check_parameters(parameters: Mapping[str, str]) -> None:
    """Raise `TritonModelException` for what the native backend refuses, and for models that are no regression forests.

    Parameters that the native backend does not know, and those that change no score, are ignored, as there.
    """
    if (model_type := parameters.get("model_type", DEFAULT_TYPE)) != CHECKPOINT_TYPE:
        default = "" if "model_type" in parameters else ", the default"
        raise pb_utils.TritonModelException(
            f"the drop-in fil backend reads {CHECKPOINT_TYPE}, not {model_type!r}{default}"
        )
    # `output_class` goes before `is_classifier`: releases before 25.09 know only the first, later ones prefer it.
    classifier = next((key for key in ("output_class", "is_classifier") if key in parameters), None)
    if classifier is None:
        raise pb_utils.TritonModelException("Required parameter output_class not found in config")
    for key in (classifier, "predict_proba"):
        if _is_true(parameters, key):
            raise pb_utils.TritonModelException(f"the drop-in fil backend serves regression forests; {key} is true")


def _is_true(parameters: Mapping[str, str], key: str) -> bool:
    value = parameters.get(key, "false")
    if value not in ("true", "false"):
        raise pb_utils.TritonModelException(f"Expected 'true' or 'false' for parameter '{key}', got: '{value}'")
    return value == "true"


def _threads(parameters: Mapping[str, str]) -> int:
    """`cpu_nthread`; the default, all cores, for what is no number."""
    try:
        return int(parameters.get("cpu_nthread", ALL_CORES))
    except ValueError:
        pb_utils.Logger.log_warn(f"cpu_nthread is {parameters['cpu_nthread']!r}, no number: all cores compute")
        return ALL_CORES


def _check_tensors(config: dict[str, Any]) -> None:
    """Raise `TritonModelException` for tensors that are not FP32 `input__0` and `output__0`."""
    for side, expected in (("input", INPUT), ("output", OUTPUT)):
        names = ", ".join(tensor["name"] for tensor in config[side])
        if names != expected:
            raise pb_utils.TritonModelException(
                f"the drop-in fil backend has the {side} {expected}, the configuration names {names}"
            )
        if (dtype := config[side][0]["data_type"]) != "TYPE_FP32":
            raise pb_utils.TritonModelException(f"{expected}: incorrect type {dtype} for a tensor of type TYPE_FP32")


def _check_forest(model: treelite.Model, config: dict[str, Any]) -> None:
    """Raise `TritonModelException` if the configuration's dimensions are not the forest's.

    The native backend compares neither: it reads beyond the rows where there are fewer features than the forest has.
    """
    if forest.n_outputs(model) != 1:
        raise pb_utils.TritonModelException("the drop-in fil backend serves regression forests with one output")
    dims = config["input"][0]["dims"]
    if dims not in ([-1], [model.num_feature]):
        raise pb_utils.TritonModelException(f"{INPUT} has dims {dims}, the forest {model.num_feature} features")
    output = config["output"][0]
    shape = output.get("reshape", output).get("shape", output["dims"])
    if not shape or not set(shape) <= {-1, 1}:
        raise pb_utils.TritonModelException(
            f"{OUTPUT} has shape {shape}; a forest with one output has 1 (an empty reshape is undefined)"
        )
