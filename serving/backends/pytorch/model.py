"""Drop-in for Triton's PyTorch (LibTorch) backend on machines without it: `torch.jit` in a Python-based backend.

It follows the native backend: inputs and outputs named `<name>__<index>` in the order of the module's arguments and
results, `model.pt` unless `default_model_filename` says otherwise, and the parameters INTRA_OP_THREAD_COUNT,
INTER_OP_THREAD_COUNT and INFERENCE_MODE.

On a GPU a batch is computed in one call. Where the configuration says `optimization { cuda { graphs: true } }`, small
batches of a module that lists shapes for it run as CUDA graphs.

On the CPU `execute` queues the rows and returns; threads that compute one row each answer a request when its last row
is done. Batches do not wait for one another, and threads that compute a row jointly would wait for one another at every
operation (docs/serve.md). Only a single row that finds all threads idle is computed by all of them.
"""

import json
import os
from pathlib import Path

import torch
import triton_python_backend_utils as pb_utils
from torch.utils.dlpack import from_dlpack

from readability_triton.serving.outstanding import Outstanding
from readability_triton.stages.row_threads import RowThreads

MEMORY_SHARE = 0.5
"""Of the card, at most, for PyTorch's own pool: the rest is for the other stages' pools, Triton's and CUDA contexts."""


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        threads = _set_threads(parameters)
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
        self.outstanding = Outstanding()
        self.rows = RowThreads(self._run, threads) if self.batched and not on_gpu else None

    def execute(self, requests: list) -> list | None:
        """Queue the rows of every request and return None; or, on a GPU and for a single row, return the responses."""
        if self.rows is None:
            return self._execute_at_once(requests)
        if len(requests) == 1:
            arguments = self._arguments(requests[0])
            with self.rows.all_cores_if_idle() as idle:
                if idle and len(arguments[0]) == 1:
                    return [self._response(self._run(arguments))]
        for request in requests:
            self._answer_later(request)
        return None

    def finalize(self) -> None:
        if self.rows is not None:
            self.rows.close()

    def _execute_at_once(self, requests: list) -> list:
        """Run requests of one shape as one batch, as Triton's dynamic batcher hands them over."""
        batches = [self._arguments(request) for request in requests]
        if not self.batched or len({tuple(tensor.shape[1:] for tensor in batch) for batch in batches}) > 1:
            return [self._response(self._run(batch)) for batch in batches]
        joined = [torch.cat(tensors) if len(tensors) > 1 else tensors[0] for tensors in zip(*batches, strict=True)]
        parts = [result.split([batch[0].shape[0] for batch in batches]) for result in self._run(joined)]
        return [self._response(results) for results in zip(*parts, strict=True)]

    def _answer_later(self, request) -> None:
        sender = request.get_response_sender()
        self.outstanding.add(1)

        def send(response) -> None:
            try:
                sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            finally:
                self.outstanding.add(-1)

        def done(results: list[torch.Tensor] | Exception) -> None:
            try:
                response = _failed(results) if isinstance(results, Exception) else self._response(results)
            except Exception as error:
                response = _failed(error)
            send(response)

        try:
            self.rows.submit(self._arguments(request), done)
        except Exception as error:
            send(_failed(error))

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
        """Results of the module, one for each output of the config.

        Raises:
            TritonModelException: if there are fewer, or a result has another number of rows than the arguments.
        """
        with self.grad_mode():
            results = self._graph_scores(arguments) or self.module(*arguments)
        results = [results] if isinstance(results, torch.Tensor) else list(results)
        if len(results) < len(self.outputs):
            raise pb_utils.TritonModelException(
                f"the module returned {len(results)} tensors, the config names {len(self.outputs)} outputs"
            )
        for name, result in zip(self.outputs, results, strict=False):
            if self.batched and (result.dim() == 0 or len(result) != len(arguments[0])):
                raise pb_utils.TritonModelException(
                    f"{name} has shape {list(result.shape)} for {len(arguments[0])} rows; expected one row for each"
                )
        return results[: len(self.outputs)]

    def _graph_scores(self, arguments: list[torch.Tensor]) -> list[torch.Tensor] | None:
        scores = self.graphs.score(*arguments) if self.graphs else None
        return None if scores is None else [scores]

    def _response(self, results):
        return pb_utils.InferenceResponse(
            [
                # The tensor itself, not a capsule of it: Triton then waits for what the GPU has yet to do.
                pb_utils.Tensor.from_dlpack(name, tensor.contiguous())
                for name, tensor in zip(self.outputs, results, strict=True)
            ]
        )


def _failed(error: Exception):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(error).__name__}: {error}"))


def _set_threads(parameters: dict[str, str]) -> int:
    """Use every core unless the configuration gives a number; the environment holds other stages to one thread."""
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
