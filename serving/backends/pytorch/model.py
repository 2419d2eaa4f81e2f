"""Drop-in for Triton's PyTorch (LibTorch) backend on machines without it: `torch.jit` in a Python-based backend.

It follows the native backend: inputs and outputs named `<name>__<index>` in the order of the module's arguments and
results, `model.pt` unless `default_model_filename` says otherwise, and the parameters INTRA_OP_THREAD_COUNT,
INTER_OP_THREAD_COUNT and INFERENCE_MODE.
"""

import json
import os
from pathlib import Path

import torch
import triton_python_backend_utils as pb_utils
from torch.utils.dlpack import from_dlpack, to_dlpack


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        _set_threads(parameters)
        self.inputs = _by_index([tensor["name"] for tensor in config["input"]])
        self.outputs = _by_index([tensor["name"] for tensor in config["output"]])
        self.batched = config["max_batch_size"] > 0
        self.grad_mode = torch.inference_mode if parameters.get("INFERENCE_MODE", "true") == "true" else torch.no_grad
        on_gpu = args["model_instance_kind"] == "GPU"
        self.device = torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        module = (
            Path(args["model_repository"]) / args["model_version"] / (config["default_model_filename"] or "model.pt")
        )
        self.module = torch.jit.load(str(module), map_location=self.device).eval()

    def execute(self, requests: list) -> list:
        """Run requests of one shape as one batch, as Triton's dynamic batcher hands them over."""
        batches = [self._arguments(request) for request in requests]
        if not self.batched or len({tuple(tensor.shape[1:] for tensor in batch) for batch in batches}) > 1:
            return [self._responses(self._run(batch), [None])[0] for batch in batches]
        joined = [torch.cat(tensors) if len(tensors) > 1 else tensors[0] for tensors in zip(*batches, strict=True)]
        return self._responses(self._run(joined), [batch[0].shape[0] for batch in batches])

    def _arguments(self, request) -> list[torch.Tensor]:
        tensors = (pb_utils.get_input_tensor_by_name(request, name) for name in self.inputs)
        return [from_dlpack(tensor.to_dlpack()).to(self.device) for tensor in tensors]

    def _run(self, arguments: list[torch.Tensor]) -> list[torch.Tensor]:
        with self.grad_mode():
            results = self.module(*arguments)
        results = [results] if isinstance(results, torch.Tensor) else list(results)
        if len(results) < len(self.outputs):
            raise pb_utils.TritonModelException(
                f"the module returned {len(results)} tensors, the config names {len(self.outputs)} outputs"
            )
        return results

    def _responses(self, results: list[torch.Tensor], sizes: list) -> list:
        parts = [[result] if sizes == [None] else result.split(sizes) for result in results]
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor.from_dlpack(name, to_dlpack(tensor.contiguous()))
                    for name, tensor in zip(self.outputs, tensors, strict=False)
                ]
            )
            for tensors in zip(*parts, strict=True)
        ]


def _set_threads(parameters: dict[str, str]) -> None:
    """Use every core unless told otherwise; the other stages are held to one thread by their environment."""
    torch.set_num_threads(int(parameters.get("INTRA_OP_THREAD_COUNT", len(os.sched_getaffinity(0)))))
    if "INTER_OP_THREAD_COUNT" in parameters:
        torch.set_num_interop_threads(int(parameters["INTER_OP_THREAD_COUNT"]))


def _by_index(names: list[str]) -> list[str]:
    """Sort `<name>__<index>` by index.

    Raises:
        TritonModelException: if a name has no index or the indexes are not 0, 1, 2 …
    """
    indexed = {}
    for name in names:
        _, separator, index = name.rpartition("__")
        if not separator or not index.isdigit():
            raise pb_utils.TritonModelException(
                f"tensor '{name}' does not follow the <name>__<index> naming convention"
            )
        indexed[int(index)] = name
    if sorted(indexed) != list(range(len(names))):
        raise pb_utils.TritonModelException(f"tensors {names} are not numbered 0 to {len(names) - 1}")
    return [indexed[index] for index in range(len(names))]
