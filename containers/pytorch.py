"""Checks of models of the PyTorch backend: TorchScript, and packages of AOTInductor (`platform: "torch_aoti"`)."""

import re
import zipfile
from collections.abc import Iterator

from tritonclient.grpc.model_config_pb2 import DataType

from readability_triton.containers.finding import Finding, error, note
from readability_triton.containers.release import Release, since
from readability_triton.containers.repository import Model

AOTI, PACKAGE, TORCHSCRIPT = "torch_aoti", "model.pt2", "model.pt"
SOURCE = "pytorch_backend r24.10 src/libtorch.cc"
REFUSED = ("TYPE_BF16", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64")

BOOLEANS = (
    "INFERENCE_MODE",
    "DISABLE_OPTIMIZED_EXECUTION",
    "DISABLE_CUDNN",
    "ENABLE_CACHE_CLEANING",
    "ENABLE_WEIGHT_SHARING",
    "ENABLE_TENSOR_FUSER",
    "ENABLE_JIT_PROFILING",
    "ENABLE_JIT_EXECUTOR",
)
SPELLINGS = ("true", "on", "1", "false", "off", "0")
INTEGERS = ("INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT")

CALL_SPEC_NAME = re.compile(r"(INPUT|OUTPUT)__\d+|ARGS\[\d+\]|KWARGS\[.+\]|RESULT(\[\d+\])?")
INDEXED_NAME = re.compile(r".+?__\d+")


def check(model: Model, release: Release) -> Iterator[Finding]:
    """All checks of one model of the PyTorch backend for one container."""
    if model.config.platform == AOTI:
        yield from _aoti(model, release)
    else:
        yield from _torchscript(model, release)


def _aoti(model: Model, release: Release) -> Iterator[Finding]:
    needed = since("torch_aoti")
    if not release.is_at_least(needed.release):
        text = f'platform "{AOTI}" is refused before {needed.release}: serve TorchScript (model.pt)'
        yield error(model.name, text, needed.source)
        return
    yield from _aoti_batching(model, release)
    yield from _aoti_names(model, release)
    bf16 = since("torch_aoti_bf16")
    for tensor in (*model.config.input, *model.config.output):
        if tensor.data_type == DataType.TYPE_BF16 and not release.is_at_least(bf16.release):
            yield error(
                model.name, f"{tensor.name} is TYPE_BF16, which {AOTI} knows from {bf16.release} on", bf16.source
            )
    parameters = since("torch_aoti_parameters")
    if set(model.parameters) & set(INTEGERS) and not release.is_at_least(parameters.release):
        text = f"{AOTI} ignores parameters before {parameters.release}: set OMP_NUM_THREADS in the container"
        yield note(model.name, text, parameters.source)


def _aoti_batching(model: Model, release: Release) -> Iterator[Finding]:
    batching = since("torch_aoti_batching")
    if model.config.HasField("dynamic_batching") and not release.is_at_least(batching.release):
        text = (
            f"dynamic_batching with {AOTI} before {batching.release}: requests of a batch get one another's rows; "
            "leave dynamic_batching out"
        )
        yield error(model.name, text, f"{batching.source}; pytorch_backend r26.03 to r26.06 ReadOutputTensors")


def _aoti_names(model: Model, release: Release) -> Iterator[Finding]:
    by_call_spec = since("torch_aoti_call_spec_names")
    newer = release.is_at_least(by_call_spec.release)
    pattern, form = (
        (CALL_SPEC_NAME, "INPUT__n, ARGS[n], KWARGS[name], OUTPUT__n or RESULT[n]")
        if newer
        else (INDEXED_NAME, "<name>__<index>")
    )
    for tensor in (*model.config.input, *model.config.output):
        if not pattern.fullmatch(tensor.name):
            text = f"tensor {tensor.name} is none that {AOTI} of {release.name} finds: {form}"
            yield error(model.name, text, by_call_spec.source)


def _torchscript(model: Model, release: Release) -> Iterator[Finding]:
    if model.config.default_model_filename.endswith(".pt2") or (
        not model.files(TORCHSCRIPT) and any((folder / PACKAGE).is_file() for folder in model.versions)
    ):
        text = f'a package of AOTInductor is read as TorchScript and fails to load; say platform: "{AOTI}"'
        yield error(model.name, text, "core r26.06 src/model_config_utils.cc")
        return
    yield from _types(model)
    yield from _names(model)
    yield from _parameters(model)
    for file in model.files(TORCHSCRIPT):
        if not zipfile.is_zipfile(file):
            yield error(model.name, f"{file.name} is no TorchScript", "torch.jit.load")
    deprecated = since("torchscript_deprecated")
    if release.is_at_least(deprecated.release):
        text = f"TorchScript still loads, and is deprecated in the PyTorch of this release; its successor is {AOTI}"
        yield note(model.name, text, deprecated.source)


def _types(model: Model) -> Iterator[Finding]:
    for tensor in (*model.config.input, *model.config.output):
        if (name := DataType.Name(tensor.data_type)) in REFUSED:
            text = f"{tensor.name} is {name}, which the PyTorch backend refuses to load"
            yield error(model.name, text, "pytorch_backend src/libtorch_utils.cc")


def _names(model: Model) -> Iterator[Finding]:
    for side, tensors in (("input", model.config.input), ("output", model.config.output)):
        names = [tensor.name for tensor in tensors]
        if not names:
            yield error(model.name, f"there is no {side}; the PyTorch backend wants at least one", SOURCE)
        if not all(INDEXED_NAME.fullmatch(name) for name in names):
            text = f"{side}s {', '.join(names)} have no <name>__<index>: their order in config.pbtxt may decide"
            yield note(model.name, text, f"{SOURCE}: GetNamingConvention")
        elif side == "input" and sorted(int(name.partition("__")[2]) for name in names) != list(range(len(names))):
            text = f"inputs {', '.join(names)} are not numbered 0 to {len(names) - 1}: the backend writes out of bounds"
            yield error(model.name, text, f"{SOURCE}: SetInputTensors")


def _parameters(model: Model) -> Iterator[Finding]:
    for key, value in model.parameters.items():
        if key in BOOLEANS and value.lower() not in SPELLINGS:
            text = f"parameter {key} is {value!r}, no boolean ({', '.join(SPELLINGS)}): the model does not load"
            yield error(model.name, text, "backend r24.10 src/backend_common.cc: ParseBoolValue")
        if key in INTEGERS and not re.match(r"\s*[+-]?\d", value):
            text = f"parameter {key} is {value!r}, no number: the model does not load"
            yield error(model.name, text, "backend r24.10 src/backend_common.cc: ParseIntValue")
        if key == "ENABLE_NVFUSER":
            yield note(model.name, "parameter ENABLE_NVFUSER is read by no release from 24.10 on", SOURCE)
