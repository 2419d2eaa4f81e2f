"""Drop-in for Triton's PyTorch (LibTorch) backend on machines without it: `torch.jit` in a Python-based backend.

It follows the native backend in names, data types, files, parameters and errors: `serving/libtorch.py` has its rules,
docs/native-backends.md the list, with what differs on purpose.

On a GPU a batch is computed in one call. Where the configuration says `optimization { cuda { graphs: true } }`, small
batches of a module that lists shapes for it run as CUDA graphs.

On the CPU `execute` queues the rows and returns; threads that compute one row each answer a request when its last row
is done. Batches do not wait for one another, and threads that compute a row jointly would wait for one another at every
operation (docs/serve.md). Only a single row that finds all threads idle is computed by all of them.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton_python_backend_utils as pb_utils
from torch.utils.dlpack import from_dlpack

from readability_triton.serving import libtorch
from readability_triton.serving.outstanding import Outstanding
from readability_triton.stages import package
from readability_triton.stages.row_threads import RowThreads

MODULE = "model.pt"

MEMORY_SHARE = 0.5
"""Of the card, at most, for PyTorch's own pool: the rest is for the other stages' pools, Triton's and CUDA contexts."""


class Output(NamedTuple):
    """A tensor of the configuration: which of the module's results it is, and of what type."""

    name: str
    index: int
    dtype: torch.dtype


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        try:
            self._load(args, json.loads(args["model_config"]))
        except ValueError as error:
            raise pb_utils.TritonModelException(str(error)) from error

    def _load(self, args: Mapping[str, str], config: dict[str, Any]) -> None:
        if "sequence_batching" in config:
            raise ValueError("the drop-in pytorch backend serves no sequences: sequence_batching is set")
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        switches = libtorch.switches(parameters)
        threads = _set_threads(parameters)
        self.batched = config["max_batch_size"] > 0
        self.grad_mode = torch.inference_mode if switches[libtorch.INFERENCE_MODE] else torch.no_grad
        on_gpu = args["model_instance_kind"] == "GPU"
        self.cleans_cache = bool(on_gpu and switches["ENABLE_CACHE_CLEANING"])
        self.device = torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        if on_gpu:
            _compile_nothing_while_serving()
        _apply(switches)
        self.module = _load_module(args, config, self.device, threads)
        self._read_tensors(args["model_name"], config)
        self.graphs = None
        if on_gpu:
            torch.cuda.set_per_process_memory_fraction(MEMORY_SHARE, self.device)
            if config.get("optimization", {}).get("cuda", {}).get("graphs"):
                self.graphs = self._record_graphs()
        self.outstanding = Outstanding()
        self.rows = RowThreads(self._run, threads) if self.batched and not on_gpu else None

    def _read_tensors(self, model: str, config: dict[str, Any]) -> None:
        for tensor in config["input"]:
            libtorch.data_type(model, "input", tensor)
        names, warn = [tensor["name"] for tensor in config["input"]], pb_utils.Logger.log_warn
        self.inputs = libtorch.input_order(model, names, _argument_names(self.module), warn)
        indexes = libtorch.output_indexes(model, [tensor["name"] for tensor in config["output"]], warn)
        self.outputs = [
            Output(tensor["name"], index, libtorch.data_type(model, "output", tensor))
            for tensor, index in zip(config["output"], indexes, strict=True)
        ]

    def execute(self, requests: list) -> list | None:
        """Queue the rows of every request and return None; or, on a GPU and for a single row, return the responses."""
        if self.rows is None:
            return self._execute_at_once(requests)
        if len(requests) == 1:
            arguments = self._arguments(requests[0])
            with self.rows.all_cores_if_idle() as idle:
                if idle and len(arguments[0]) == 1:
                    return self._execute_at_once(requests)
        for request in requests:
            self._answer_later(request)
        return None

    def finalize(self) -> None:
        if self.rows is not None:
            self.rows.close()

    def _execute_at_once(self, requests: list) -> list:
        """Run requests of one shape as one batch, as Triton's dynamic batcher hands them over; they share an error."""
        try:
            batches = [self._arguments(request) for request in requests]
            shapes = {tuple(tensor.shape[1:] for tensor in batch) for batch in batches}
            if len(requests) == 1 or (self.batched and len(shapes) == 1):
                return self._joined_responses(batches)
        except Exception as error:
            return [_failed(error) for _ in requests]
        return [response for request in requests for response in self._execute_at_once([request])]

    def _joined_responses(self, batches: list[list[torch.Tensor]]) -> list:
        if len(batches) == 1:
            return [self._response(self._run(batches[0]))]
        joined = [torch.cat(tensors) for tensors in zip(*batches, strict=True)]
        parts = [result.split([len(batch[0]) for batch in batches]) for result in self._run(joined)]
        return [self._response(results) for results in zip(*parts, strict=True)]

    def _answer_later(self, request) -> None:
        sender = request.get_response_sender()
        self.outstanding.add(1)

        def send_final(response) -> None:
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

        def send(response) -> None:
            not_sent = _failed(pb_utils.TritonModelException("the answer could not be sent"))
            self.outstanding.answer(lambda: send_final(response), lambda: send_final(not_sent))

        def done(results: list[torch.Tensor] | Exception) -> None:
            try:
                response = _failed(results) if isinstance(results, Exception) else self._response(results)
            except Exception as error:
                response = _failed(error)
            send(response)

        try:
            arguments = self._arguments(request)
            results = None if len(arguments[0]) else self._run(arguments)  # the queue knows rows only
        except Exception as error:
            send(_failed(error))
            return
        if results is None:
            self.rows.submit(arguments, done)
        else:
            done(results)

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
            TritonModelException: if the module fails, or a result is missing, of another type than the config's, or has
                another number of rows than the arguments.
        """
        try:
            with self.grad_mode():
                results = self._graph_scores(arguments) or self.module(*arguments)
        except Exception as error:
            raise pb_utils.TritonModelException(f"PyTorch execute failure: {error}") from error
        finally:
            if self.cleans_cache:
                torch.cuda.empty_cache()
        results = [results] if isinstance(results, torch.Tensor) else list(results)
        n_rows = len(arguments[0]) if self.batched else None
        return [_checked(output, results, n_rows) for output in self.outputs]

    def _graph_scores(self, arguments: list[torch.Tensor]) -> list[torch.Tensor] | None:
        scores = self.graphs.score(*arguments) if self.graphs else None
        return None if scores is None else [scores]

    def _response(self, results):
        return pb_utils.InferenceResponse(
            [
                # The tensor itself, not a capsule of it: Triton then waits for what the GPU has yet to do.
                pb_utils.Tensor.from_dlpack(output.name, tensor.contiguous())
                for output, tensor in zip(self.outputs, results, strict=True)
            ]
        )


def _load_module(args: Mapping[str, str], config: dict[str, Any], device: torch.device, threads: int) -> Any:
    """TorchScript, or a package of AOTInductor, which Triton 24.10 does not know: there a platform says which it is."""
    path = Path(args["model_repository"]) / args["model_version"] / (config["default_model_filename"] or MODULE)
    if not path.is_file():
        raise ValueError(f"unable to find '{path}' for model instance '{args['model_name']}'")
    try:
        if path.suffix == package.SUFFIX:
            loaded = package.load_package(path, runners=threads)
            if (built_for := package.device_of(loaded)) != device.type:
                raise ValueError(f"'{path}' is compiled for {built_for}, and the instance runs on {device.type}")
            return loaded
        return torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise ValueError(f"failed to load model '{args['model_name']}': {error}") from error


def _argument_names(module: Any) -> list[str]:
    if isinstance(module, torch.jit.ScriptModule):
        return libtorch.arguments_of(module)
    return [f"argument {number}" for number in range(package.arguments_of(module))]  # a package has no names


def _checked(output: Output, results: list[torch.Tensor], n_rows: int | None) -> torch.Tensor:
    """The result that is this output. Triton compares neither its type nor its rows with the configuration."""
    if output.index >= len(results):
        raise pb_utils.TritonModelException(
            f"The output {output.name} in the model configuration refers to an output index which doesn't exist. "
            f"This model has {len(results)} outputs"
        )
    result = results[output.index]
    if result.dim() == 0:
        raise pb_utils.TritonModelException(f"output '{output.name}' is a scalar which is not supported.")
    if result.dtype != output.dtype:
        expected, provided = libtorch.type_name(output.dtype), libtorch.type_name(result.dtype)
        raise pb_utils.TritonModelException(
            f"configuration expects datatype {expected} for output '{output.name}', model provides {provided}"
        )
    if n_rows is not None and len(result) != n_rows:
        raise pb_utils.TritonModelException(
            f"{output.name} has shape {list(result.shape)} for {n_rows} rows; expected one row for each"
        )
    return result


def _failed(error: Exception):
    kind = "" if isinstance(error, pb_utils.TritonModelException) else f"{type(error).__name__}: "
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{kind}{error}"))


def _set_threads(parameters: Mapping[str, str]) -> int:
    """Use every core unless the configuration gives a number; the environment holds other stages to one thread."""
    intra = libtorch.thread_count(parameters, "INTRA_OP_THREAD_COUNT")
    torch.set_num_threads(intra or len(os.sched_getaffinity(0)))
    if inter := libtorch.thread_count(parameters, "INTER_OP_THREAD_COUNT"):
        torch.set_num_interop_threads(inter)
    return torch.get_num_threads()  # which makes PyTorch keep the number for this thread, whatever others set later


def _apply(switches: Mapping[str, bool | None]) -> None:
    """Set what is of the whole process, which serves one instance; what is not given stays as PyTorch has it."""
    if switches["DISABLE_OPTIMIZED_EXECUTION"]:
        torch._C._set_graph_executor_optimize(False)
    if switches["DISABLE_CUDNN"]:
        torch.backends.cudnn.enabled = False
    if switches["ENABLE_WEIGHT_SHARING"]:
        pb_utils.Logger.log_warn("ENABLE_WEIGHT_SHARING has no effect: each instance is a process of its own")
    setters = {
        "ENABLE_TENSOR_FUSER": torch._C._jit_set_texpr_fuser_enabled,
        "ENABLE_JIT_PROFILING": torch._C._jit_set_profiling_mode,
        "ENABLE_JIT_EXECUTOR": torch._C._jit_set_profiling_executor,
    }
    for name, set_to in setters.items():
        if (value := switches[name]) is not None:
            set_to(value)


def _compile_nothing_while_serving() -> None:
    """Leave out what takes seconds at the first call of each new shape, and cannot happen within a CUDA graph.

    The fuser of TorchScript compiles kernels anew for new widths; cuDNN's attention builds a plan for every shape.
    Memory-efficient attention, which takes a padding mask too, needs neither.
    """
    torch.jit.set_fusion_strategy([])
    torch.backends.cuda.enable_cudnn_sdp(False)
