"""What fine-tuning changed in an encoder, in a quarter of its size: differences from the base weights, in 8 bits.

A matrix's difference is kept as INT8 with one FP32 step a row. Differences are some hundred times smaller than the
weights, so that rounding them costs less than serving the weights in bf16 does.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STEPS = 127


def pack(tuned: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
    """Differences of the tuned weights from the base weights of the same names."""
    packed: dict[str, NDArray[np.generic]] = {}
    for name, weight in tuned.items():
        change = (weight.float() - base[name].float()).numpy()
        if change.ndim < 2:
            packed[name] = change
            continue
        step = np.maximum(np.abs(change).max(axis=1, keepdims=True), np.finfo(np.float32).tiny * STEPS) / STEPS
        packed[name] = np.rint(change / step).astype(np.int8)
        packed[f"{name}.step"] = step.astype(np.float32)
    return packed


def unpack(packed: Mapping[str, NDArray[np.generic]], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that `pack` was given, FP32, up to half a step.

    Raises:
        ValueError: if the base lacks a weight or has it in another shape.
    """
    weights = {}
    for name, change in packed.items():
        if name.endswith(".step"):
            continue
        if name not in base or base[name].shape != change.shape:
            raise ValueError(f"the base encoder has no {name} of shape {list(change.shape)}")
        step = packed.get(f"{name}.step", np.ones(1)).astype(np.float32)
        weights[name] = base[name].float() + torch.from_numpy(change.astype(np.float32) * step)
    return weights
