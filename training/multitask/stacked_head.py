"""K heads side by side: what `PooledEncoder.head` and `CountsHead` are in one, and the line from score to level."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from readability_triton.stages.counts import N_COUNTS

HIDDEN = 64
RATES = {
    "head.weight": 1.0,
    "head.bias": 5.0,
    "counts_head.direct.weight": 20.0,
    "counts_head.means.weight": 3.0,
    "counts_head.means.bias": 10.0,
    "counts_head.counts.weight": 10.0,
    "counts_head.out.weight": 10.0,
    "level.start": 50.0,
    "level.slope": 50.0,
}
"""Of each weight, what the encoder's learning rate is multiplied by: these start from next to nothing."""

DECAYED = ("head.weight", "counts_head.means.weight", "counts_head.counts.weight")


def start_of_head(width: int, seed: int) -> dict[str, Tensor]:
    """Weights by the names that they have in `PooledEncoder`, matrices [in, out] and rows of one without their one.

    Args:
        width: of the means.
        seed: of the small layer's random weights.
    """
    random = torch.Generator().manual_seed(seed)
    return {
        "head.weight": torch.zeros(width),
        "head.bias": torch.zeros(1),
        "counts_head.direct.weight": torch.zeros(N_COUNTS),
        "counts_head.means.weight": torch.randn(width, HIDDEN, generator=random) / math.sqrt(width),
        "counts_head.means.bias": torch.randn(HIDDEN, generator=random) * 0.5,
        "counts_head.counts.weight": torch.randn(N_COUNTS, HIDDEN, generator=random) * 0.7,
        "counts_head.out.weight": torch.zeros(HIDDEN),
        "level.start": torch.full((1,), 1.9),
        "level.slope": torch.full((1,), -1.0),
    }


def score(weights: Mapping[str, Tensor], means: Tensor, counts: Tensor) -> Tensor:
    """Scores FP32 [K, B] of means FP32 [K, B, width] and counts FP32 [K, B, 4]."""
    linear = torch.einsum("kbd,kd->kb", means, weights["head.weight"]) + weights["head.bias"]
    direct = torch.einsum("kbc,kc->kb", counts, weights["counts_head.direct.weight"])
    hidden = torch.baddbmm(
        weights["counts_head.means.bias"][:, None], means, weights["counts_head.means.weight"]
    ) + torch.bmm(counts, weights["counts_head.counts.weight"])
    return linear + direct + torch.einsum("kbh,kh->kb", functional.gelu(hidden), weights["counts_head.out.weight"])


def level(weights: Mapping[str, Tensor], scores: Tensor) -> Tensor:
    """Levels [K, B] that scores [K, B] amount to: a line, both coefficients learned."""
    return weights["level.start"] + weights["level.slope"] * scores


def to_pooled_encoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One model's weights as `PooledEncoder` has them; those of the line to levels are left out."""
    named = {}
    for name, weight in weights.items():
        if name.startswith("level."):
            continue
        is_row = weight.ndim == 1 and name.endswith("weight")
        named[name] = weight[None] if is_row else weight.T.contiguous() if weight.ndim == 2 else weight
    return named
