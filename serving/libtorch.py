"""How Triton's native PyTorch backend reads a TorchScript model's configuration: names, data types, parameters.

From `src/libtorch.cc` of pytorch_backend r24.10, unchanged in meaning up to r26.02 (docs/native-backends.md). The
drop-in in `serving/backends/pytorch` follows it. Every `ValueError` here is what the native backend refuses to load.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

DATA_TYPES: Mapping[str, torch.dtype] = {
    "TYPE_BOOL": torch.bool,
    "TYPE_UINT8": torch.uint8,
    "TYPE_INT8": torch.int8,
    "TYPE_INT16": torch.int16,
    "TYPE_INT32": torch.int32,
    "TYPE_INT64": torch.int64,
    "TYPE_FP16": torch.float16,
    "TYPE_FP32": torch.float32,
    "TYPE_FP64": torch.float64,
}
"""What a tensor may be (`src/libtorch_utils.cc`); the native backend also takes lists of strings."""

INFERENCE_MODE = "INFERENCE_MODE"
SWITCHES: Mapping[str, bool | None] = {
    INFERENCE_MODE: True,
    "DISABLE_OPTIMIZED_EXECUTION": False,
    "DISABLE_CUDNN": False,
    "ENABLE_CACHE_CLEANING": False,
    "ENABLE_WEIGHT_SHARING": False,
    "ENABLE_TENSOR_FUSER": None,
    "ENABLE_JIT_PROFILING": None,
    "ENABLE_JIT_EXECUTOR": None,
}
"""Parameters that are booleans, with their defaults; None leaves PyTorch's own."""

SPELLINGS: Mapping[str, bool] = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}

Warn = Callable[[str], object]


def arguments_of(module: torch.jit.ScriptModule) -> list[str]:
    """Names of the tensors that the module's `forward` takes.

    Raises:
        ValueError: if it takes anything else, such as a dictionary, which the drop-in does not serve.
    """
    forward: Any = module.forward
    arguments = forward.schema.arguments[1:]  # the first is `self`
    for argument in arguments:
        if argument.type.kind() != "TensorType":
            raise ValueError(
                f"An input of type '{argument.type}' was detected in the model. "
                "Only input(s) of type Tensor are supported."
            )
    return [argument.name for argument in arguments]


def input_order(model: str, names: Sequence[str], arguments: Sequence[str], warn: Warn) -> list[str]:
    """The configuration's inputs in the order of the module's arguments.

    By the arguments' names if all are such; else by `<name>__<index>` if all follow that; else as they stand.

    Raises:
        ValueError: if their number is not the module's, or, which the native backend does not check, indexes are not
            0, 1, 2 …
    """
    if not names:
        raise ValueError("model configuration must contain at least one input, none were specified.")
    if len(names) != len(arguments):
        raise ValueError(
            f"unable to load model '{model}', configuration expects {len(names)} inputs, "
            f"model provides {len(arguments)}"
        )
    if set(names) <= set(arguments):
        return sorted(names, key=list(arguments).index)
    indexes = _indexes(names)
    if indexes is None:
        warn(
            f"inputs {', '.join(names)} are neither arguments of the model '{model}' nor follow the <name>__<index> "
            "naming convention. Falling back to enforcing strict ordering from model configuration."
        )
        return list(names)
    if sorted(indexes) != list(range(len(names))):
        raise ValueError(f"inputs {', '.join(names)} are not numbered 0 to {len(names) - 1}")
    return [name for _, name in sorted(zip(indexes, names, strict=True))]


def output_indexes(model: str, names: Sequence[str], warn: Warn) -> list[int]:
    """Which of the module's results each output of the configuration is: by `<name>__<index>`, or as they stand.

    Raises:
        ValueError: if there is none.
    """
    if not names:
        raise ValueError("model configuration must contain at least one output, none were specified.")
    indexes = _indexes(names)
    if indexes is None:
        warn(
            f"outputs {', '.join(names)} of the model '{model}' do not follow the <name>__<index> naming convention. "
            "Falling back to enforcing strict ordering from model configuration."
        )
        return list(range(len(names)))
    return indexes


def _indexes(names: Sequence[str]) -> list[int] | None:
    """The index after the first `__` of each name, where nothing stands for 0; None if a name has none."""
    parts = [name.partition("__") for name in names]
    if all(separator and (not index or index.isdecimal()) for _, separator, index in parts):
        return [int(index or 0) for *_, index in parts]
    return None


def data_type(model: str, side: str, tensor: Mapping[str, Any]) -> torch.dtype:
    """The type of an input or output of the configuration.

    Raises:
        ValueError: if there is none in PyTorch for it.
    """
    if (name := tensor["data_type"]) not in DATA_TYPES:
        raise ValueError(f"unsupported datatype {name} for {side} '{tensor['name']}' for model '{model}'")
    return DATA_TYPES[name]


def type_name(dtype: torch.dtype) -> str:
    """What the configuration calls a type; PyTorch's own name where it has none."""
    return next((name for name, known in DATA_TYPES.items() if known == dtype), str(dtype))


def switches(parameters: Mapping[str, str]) -> dict[str, bool | None]:
    """All boolean parameters.

    Raises:
        ValueError: for a spelling that is none.
    """
    return {name: _boolean(parameters[name]) if name in parameters else default for name, default in SWITCHES.items()}


def _boolean(text: str) -> bool:
    if text.lower() not in SPELLINGS:
        raise ValueError(f"failed to convert '{text}' to boolean")
    return SPELLINGS[text.lower()]


def thread_count(parameters: Mapping[str, str], name: str) -> int | None:
    """`INTRA_OP_THREAD_COUNT` or `INTER_OP_THREAD_COUNT`; None if it is not set, or below 1, which is the same.

    Raises:
        ValueError: if it is no whole number.
    """
    try:
        count = int(parameters.get(name, 0))
    except ValueError:
        raise ValueError(f"failed to convert '{parameters[name]}' to integral number") from None
    return count if count > 0 else None
