"""Glue: INPUT0 to BERT_IDS, BERT_AM and TREE_FEATS by way of `stages`, one call for all requests of a batch."""

from itertools import chain
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from readability_triton.stages import excerpts
from readability_triton.stages.errors import InvalidRowError
from readability_triton.stages.prepared import Prepared
from readability_triton.stages.preprocess import HostPreprocess

OUTPUTS = ("BERT_IDS", "BERT_AM", "TREE_FEATS")


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        folder = Path(args["model_repository"]) / args["model_version"]
        if args["model_instance_kind"] == "GPU":
            self.family = _counters("preprocess_host_rows_total", "Rows whose tokens the GPU left to the host")
            from readability_triton.stages.device.preprocess import DevicePreprocess  # needs RAPIDS

            gpu = int(args["model_instance_device_id"])
            self.stage = DevicePreprocess.load(folder, gpu, self.family.Metric().increment)
        else:
            self.stage = HostPreprocess(folder)

    def execute(self, requests: list) -> list:
        asked = [_texts(request) for request in requests]
        good = [texts for texts in asked if isinstance(texts, list)]
        prepared = self.stage.prepare(list(chain.from_iterable(good))) if good else None
        ends = iter(np.cumsum([len(texts) for texts in good]).tolist())
        return [
            _refused(texts) if isinstance(texts, InvalidRowError) else _packed(prepared, len(texts), next(ends))
            for texts in asked
        ]


def _counters(name: str, description: str):
    return pb_utils.MetricFamily(name=name, description=description, kind=pb_utils.MetricFamily.COUNTER)


def _texts(request) -> list[str] | InvalidRowError:
    try:
        return excerpts.decode(pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy().ravel())
    except InvalidRowError as error:
        return error


def _refused(error: InvalidRowError):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))


def _packed(prepared: Prepared, n_rows: int, end: int):
    rows = prepared.rows(end - n_rows, end)
    return pb_utils.InferenceResponse([_tensor(name, array) for name, array in zip(OUTPUTS, rows, strict=True)])


def _tensor(name: str, array):
    """A tensor on the host, or on the GPU where the array is there."""
    return pb_utils.Tensor(name, array) if isinstance(array, np.ndarray) else pb_utils.Tensor.from_dlpack(name, array)
