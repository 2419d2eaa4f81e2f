"""A repository with an encoder of random weights in its slot: as fast as a real one of its size, and useless else."""

from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from readability_triton.stages.encoder import PooledEncoder, save_encoder, to_torchscript
from readability_triton.stages.precision import Precision
from readability_triton.training.config_parameters import set_parameters

BERT_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
"""Devlin et al., BERT (2019), section 3; some 0.6 GFLOP a token."""


def random_encoder(size: Mapping[str, int]) -> PooledEncoder:
    """An encoder of this size, by the names of `BertConfig`, in FP32; the same weights each time."""
    torch.manual_seed(0)
    config = BertConfig(**size, attn_implementation="sdpa")
    return PooledEncoder(BertModel(config, add_pooling_layer=False), (config.num_hidden_layers,))


def put_random_encoder(repository: Path, precision: Precision, size: Mapping[str, int] | None = None) -> None:
    """Replace the encoder of a repository, whose file may be a link, and say so in its configuration.

    Args:
        repository: a model repository, built.
        precision: what the layers compute in.
        size: of the encoder, by the names of `BertConfig`; `BERT_LARGE` by default.
    """
    size = size or BERT_LARGE
    encoder = random_encoder(size)
    file = repository / "bert-large" / "1" / "model.pt"
    file.unlink(missing_ok=True)
    save_encoder(to_torchscript(encoder, precision), file, precision)
    parameters = {
        "encoder": f"random weights, {size['num_hidden_layers']} layers of {size['hidden_size']}",
        "encoder_sha256": "",
        "encoder_layers": str(size["num_hidden_layers"]),
        "encoder_flop_per_token": str(encoder.flop_per_token),
    }
    set_parameters(repository / "bert-large" / "config.pbtxt", parameters)
