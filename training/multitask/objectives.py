"""What is asked of the scores of a batch: one loss a model, FP32 [K]."""

import torch
from torch import Tensor
from torch.nn import functional

STEEPNESS = 4.0
"""Of the ranking loss: a gap of one, the deviation of the corpus, costs next to nothing."""


def squared_error(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of scores [K, B] over those targets [K, B] that are not NaN; 0 where all are."""
    known = torch.isfinite(targets)
    errors = torch.where(known, scores - torch.where(known, targets, 0.0), 0.0)
    return errors.square().sum(1) / known.sum(1).clamp(min=1)


def ranking(scores: Tensor) -> Tensor:
    """Logistic loss of pairs (Burges et al., 2005) of scores [K, 2B]: the harder texts, then the easier of each."""
    harder, easier = scores.chunk(2, dim=1)
    return functional.softplus(STEEPNESS * (harder - easier)).mean(1) / STEEPNESS
