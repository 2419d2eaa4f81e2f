"""What a stage's outputs must look like, by its model's configuration, and the check that they do."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from tritonclient.grpc.model_config_pb2 import DataType
from tritonclient.utils import triton_to_np_dtype

from readability_triton.bls.stages import StageError
from readability_triton.ensemble.config import ConfigError, read_config
from readability_triton.stages.arrays import Array


@dataclass(frozen=True)
class Promise:
    """The outputs of a model.

    Attributes:
        is_batched: whether the first dimension of every tensor is the batch.
        outputs: data type and dimensions of each, without the batch; -1 for a dimension of any size.
    """

    is_batched: bool
    outputs: Mapping[str, tuple[np.dtype, tuple[int, ...]]]


@cache
def promise_of(config: Path) -> Promise | None:
    """The outputs that a `config.pbtxt` names; None if it cannot be read: the model is not of this repository."""
    try:
        model = read_config(config)
    except ConfigError:
        return None
    outputs = {
        output.name: (_dtype(DataType.Name(output.data_type).removeprefix("TYPE_")), tuple(output.dims))
        for output in model.output
    }
    return Promise(model.max_batch_size > 0, outputs)


def _dtype(name: str) -> np.dtype:
    return np.dtype(triton_to_np_dtype("BYTES" if name == "STRING" else name))


def check(stage: str, outputs: Mapping[str, Array], promise: Promise | None, n_rows: int) -> None:
    """Compare outputs with what the model's configuration promises.

    Nothing is reshaped or broadcast: a model that gives [N] where its configuration says [N, 1], as Triton's native FIL
    backend does in some releases, would otherwise turn N scores into N * N.

    Args:
        stage: the model's name.
        outputs: arrays by name.
        promise: None for a model that promises nothing.
        n_rows: rows that the model was given.

    Raises:
        StageError: for the first tensor of another shape or data type; the message names model, tensor, what was
            expected and what came.
    """
    for name, array in outputs.items():
        if promise is None or name not in promise.outputs:
            continue
        dtype, dims = promise.outputs[name]
        shape = (n_rows, *dims) if promise.is_batched else dims
        fits = len(array.shape) == len(shape) and all(
            want in (-1, got) for want, got in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype != dtype:
            raise StageError(
                stage,
                f"output {name} is {array.dtype} {list(array.shape)}; expected {dtype} {list(shape)}, "
                f"by the configuration of {stage} and {n_rows} rows",
            )


def check_scores(stage: str, output: str, scores: Array, n_rows: int) -> None:
    """Raise `StageError` unless scores are FP32 [B, 1], on whatever device."""
    if scores.dtype != np.float32 or tuple(scores.shape) != (n_rows, 1):
        raise StageError(
            stage, f"output {output} is {scores.dtype} {list(scores.shape)}; expected float32 [{n_rows}, 1]"
        )
