"""Join a bundle with its base encoder."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from readability_triton.stages.counts import TokenCounts, token_table
from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.base_encoder import BaseEncoder, EncoderError
from readability_triton.training.bundle import Bundle
from readability_triton.training.changes import unpack


def base_weights(encoder: PooledEncoder) -> dict[str, Tensor]:
    """The weights that changes are measured from: pretrained ones, and nothing in what scores the means."""
    weights = encoder.state_dict()
    return weights | {
        name: torch.zeros_like(weights[name]) for name in weights if name.startswith(("head.", "counts_head."))
    }


def pooled_encoder(base: BaseEncoder, layers: Sequence[int], counts: bool) -> PooledEncoder:
    """The base encoder's lower layers with a linear layer, and with counts of its tokens if so asked; untrained."""
    table = token_table(base.tokenizer, base.bert.config.vocab_size) if counts else None
    return PooledEncoder(base.bert, tuple(layers), None if table is None else TokenCounts(table))


def assemble(base: BaseEncoder, bundle: Bundle) -> PooledEncoder:
    """The bundle's encoder in FP32; the base encoder is left as it is.

    Raises:
        EncoderError: if the bundle was trained with another encoder, or does not fit this one.
    """
    if base.sha256 != bundle.facts.encoder_sha256:
        raise EncoderError(
            f"{base.name} has weights {base.sha256}, the bundle was trained with {bundle.facts.encoder_sha256}"
        )
    encoder = copy.deepcopy(pooled_encoder(base, bundle.facts.layers, bundle.facts.counts))
    try:
        encoder.load_state_dict(unpack(bundle.changes, base_weights(encoder)), strict=False)
    except ValueError as error:
        raise EncoderError(f"the bundle does not fit {base.name}: {error}") from error
    return encoder.eval()
