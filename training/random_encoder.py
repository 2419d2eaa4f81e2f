"""A repository with an encoder of random weights in its slot: as fast as a real one of its size, and useless else."""

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


def random_encoder(n_layers: int = BERT_LARGE["num_hidden_layers"]) -> PooledEncoder:
    """An encoder of BERT-large's width, in FP32; the same weights each time."""
    torch.manual_seed(0)
    config = BertConfig(**BERT_LARGE | {"num_hidden_layers": n_layers}, attn_implementation="sdpa")
    return PooledEncoder(BertModel(config, add_pooling_layer=False), (n_layers,))


def put_random_encoder(repository: Path, precision: Precision) -> None:
    """Replace the encoder of a repository, whose file may be a link, and say so in its configuration.

    Args:
        repository: a model repository, built.
        precision: what the layers compute in.
    """
    encoder = random_encoder()
    n_layers, hidden = BERT_LARGE["num_hidden_layers"], BERT_LARGE["hidden_size"]
    file = repository / "bert-large" / "1" / "model.pt"
    file.unlink(missing_ok=True)
    save_encoder(to_torchscript(encoder, precision), file, precision)
    parameters = {
        "encoder": f"random weights, {n_layers} layers of {hidden}",
        "encoder_sha256": "",
        "encoder_layers": str(n_layers),
        "encoder_flop_per_token": str(encoder.flop_per_token),
    }
    set_parameters(repository / "bert-large" / "config.pbtxt", parameters)
