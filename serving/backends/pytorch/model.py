"""Drop-in for Triton's PyTorch (LibTorch) backend on machines without it: `torch.jit` in a Python-based backend.

It follows the native backend: inputs and outputs named `<name>__<index>` in the order of the module's arguments and
results, `model.pt` unless `default_model_filename` says otherwise, and the parameters INTRA_OP_THREAD_COUNT,
INTER_OP_THREAD_COUNT and INFERENCE_MODE.

On a GPU, where the configuration says `optimization { cuda { graphs: true } }`, small batches of a module that lists
shapes for it run as CUDA graphs.

On the CPU a batch's rows are shared out over as many threads, each of which computes its own. Threads that compute a
row together wait for one another at every operation, and so for whoever takes a core from one of them: docs/serve.md.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import triton_python_backend_utils as pb_utils
from torch.utils.dlpack import from_dlpack

MEMORY_SHARE = 0.5
"""Of the card, at most, for PyTorch's own pool: the rest is for the other stages' pools, Triton's and CUDA contexts."""


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self.threads = _set_threads(parameters)
        self.pool = ThreadPoolExecutor(self.threads, "rows", _compute_alone)
        self.inputs = _by_index([tensor["name"] for tensor in config["input"]])
        self.outputs = _by_index([tensor["name"] for tensor in config["output"]])
        self.batched = config["max_batch_size"] > 0
        self.grad_mode = torch.inference_mode if parameters.get("INFERENCE_MODE", "true") == "true" else torch.no_grad
        on_gpu = args["model_instance_kind"] == "GPU"
        self.device = torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        module = (
            Path(args["model_repository"]) / args["model_version"] / (config["default_model_filename"] or "model.pt")
        )
        if on_gpu:
            _compile_nothing_while_serving()
        self.module = torch.jit.load(str(module), map_location=self.device).eval()
        self.graphs = None
        if on_gpu:
            torch.cuda.set_per_process_memory_fraction(MEMORY_SHARE, self.device)
            if config.get("optimization", {}).get("cuda", {}).get("graphs"):
                self.graphs = self._record_graphs()

    def execute(self, requests: list) -> list:
        """Run requests of one shape as one batch, as Triton's dynamic batcher hands them over."""
        batches = [self._arguments(request) for request in requests]
        if not self.batched or len({tuple(tensor.shape[1:] for tensor in batch) for batch in batches}) > 1:
            return [self._responses(self._run(batch), [None])[0] for batch in batches]
        joined = [torch.cat(tensors) if len(tensors) > 1 else tensors[0] for tensors in zip(*batches, strict=True)]
        return self._responses(self._run(joined), [batch[0].shape[0] for batch in batches])

    def _record_graphs(self):
        from readability_triton.stages.device.graphs import record_module  # the host needs none of it

        try:
            with self.grad_mode():
                return record_module(self.module, self.device)
        except RuntimeError as error:
            pb_utils.Logger.log_warn(f"small batches run without CUDA graphs: {error}")
            return None

    def _arguments(self, request) -> list[torch.Tensor]:
        tensors = (pb_utils.get_input_tensor_by_name(request, name) for name in self.inputs)
        return [from_dlpack(tensor.to_dlpack()).to(self.device) for tensor in tensors]

    def _run(self, arguments: list[torch.Tensor]) -> list[torch.Tensor]:
        n_parts = min(self.threads, len(arguments[0])) if self.batched and self.device.type == "cpu" else 1
        results = self._shared_out(arguments, n_parts) if n_parts > 1 else self._forward(arguments)
        if len(results) < len(self.outputs):
            raise pb_utils.TritonModelException(
                f"the module returned {len(results)} tensors, the config names {len(self.outputs)} outputs"
            )
        return results

    def _shared_out(self, arguments: list[torch.Tensor], n_parts: int) -> list[torch.Tensor]:
        """Every n-th row to one thread, so that neighbours, which may be of like length, go to different ones."""
        running = [
            self.pool.submit(self._forward, [tensor[part::n_parts] for tensor in arguments]) for part in range(n_parts)
        ]
        done = [each.result() for each in running]
        results = [output.new_empty(len(arguments[0]), *output.shape[1:]) for output in done[0]]
        for part, outputs in enumerate(done):
            for result, output in zip(results, outputs, strict=True):
                result[part::n_parts] = output
        return results

    def _forward(self, arguments: list[torch.Tensor]) -> list[torch.Tensor]:
        with self.grad_mode():
            if self.graphs and (scores := self.graphs.score(*arguments)) is not None:
                return [scores]
            results = self.module(*arguments)
        return [results] if isinstance(results, torch.Tensor) else list(results)

    def _responses(self, results: list[torch.Tensor], sizes: list) -> list:
        parts = [[result] if sizes == [None] else result.split(sizes) for result in results]
        return [
            pb_utils.InferenceResponse(
                [
                    # The tensor itself, not a capsule of it: Triton then waits for what the GPU has yet to do.
                    pb_utils.Tensor.from_dlpack(name, tensor.contiguous())
                    for name, tensor in zip(self.outputs, tensors, strict=False)
                ]
            )
            for tensors in zip(*parts, strict=True)
        ]


def _set_threads(parameters: dict[str, str]) -> int:
    """Use every core unless told otherwise; the other stages are held to one thread by their environment."""
    threads = int(parameters.get("INTRA_OP_THREAD_COUNT", len(os.sched_getaffinity(0))))
    torch.set_num_threads(threads)
    if "INTER_OP_THREAD_COUNT" in parameters:
        torch.set_num_interop_threads(int(parameters["INTER_OP_THREAD_COUNT"]))
    return torch.get_num_threads()  # which makes PyTorch keep the number for this thread, whatever others set later


def _compile_nothing_while_serving() -> None:
    """Leave out what takes seconds at the first call of each new shape, and cannot happen within a CUDA graph.

    The fuser of TorchScript compiles kernels anew for new widths; cuDNN's attention builds a plan for every shape.
    Memory-efficient attention, which takes a padding mask too, needs neither.
    """
    torch.jit.set_fusion_strategy([])
    torch.backends.cuda.enable_cudnn_sdp(False)


def _compute_alone() -> None:
    """For a thread that is to compute by itself."""
    torch.set_num_threads(1)
    torch.get_num_threads()


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
