"""Join a bundle with its base encoder into what the model repository serves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from stages.encoder import PooledEncoder, to_torchscript
from stages.pipeline import InProcessPipeline
from training.base_encoder import BaseEncoder, EncoderError, load_base_encoder
from training.bundle import Bundle
from training.config_parameters import set_parameters

REFERENCE_TOLERANCE = 1e-3
PIPELINES = ("ensemble_all", "bls_pipeline")


class BuildError(RuntimeError):
    """What was built does not give the bundle's reference scores."""


def build_repository(
    bundle: Bundle, repository: Path, reference_texts: Sequence[str], base: BaseEncoder | None = None
) -> None:
    """Write model.pt, checkpoint.tl, tokenizer.json and features.json, and tell the configs what is in the slots.

    Args:
        bundle: what training learned.
        repository: the model repository, with its `config.pbtxt` files in place.
        reference_texts: the texts whose scores the bundle holds.
        base: the bundle's base encoder, where it is loaded already.

    Raises:
        EncoderError: if the base encoder is not the one that the bundle was trained with.
        BuildError: if the result does not give the reference scores.
    """
    base = base or load_base_encoder(bundle.facts.encoder)
    if base.sha256 != bundle.facts.encoder_sha256:
        raise EncoderError(
            f"{base.name} has weights {base.sha256}, the bundle was trained with {bundle.facts.encoder_sha256}"
        )
    torch.jit.save(to_torchscript(assemble(base, bundle)), str(repository / "bert-large" / "1" / "model.pt"))
    (repository / "cuml" / "1" / "checkpoint.tl").write_bytes(bundle.forest)
    base.tokenizer.save(str(repository / "preprocess" / "1" / "tokenizer.json"))
    bundle.features.save(repository / "preprocess" / "1" / "features.json")
    _tell_configs(bundle, repository)
    if reference_texts:
        _check_reference_scores(bundle, repository, reference_texts)


def assemble(base: BaseEncoder, bundle: Bundle) -> PooledEncoder:
    """The encoder with the bundle's linear layer."""
    encoder = PooledEncoder(base.bert, tuple(bundle.facts.layers))
    with torch.no_grad():
        encoder.head.weight.copy_(torch.from_numpy(bundle.head.weight)[None])
        encoder.head.bias.fill_(bundle.head.bias)
    return encoder.eval()


def _tell_configs(bundle: Bundle, repository: Path) -> None:
    facts = bundle.facts
    slot = {
        "encoder": facts.encoder,
        "encoder_sha256": facts.encoder_sha256,
        "encoder_layers": ",".join(map(str, facts.layers)),
    }
    set_parameters(repository / "bert-large" / "config.pbtxt", slot)
    scale = {"bert_weight": str(facts.bert_weight), "target_quantiles": " ".join(map(str, facts.quantiles))}
    for pipeline in PIPELINES:
        set_parameters(repository / pipeline / "config.pbtxt", scale)


def _check_reference_scores(bundle: Bundle, repository: Path, texts: Sequence[str]) -> None:
    pipeline = InProcessPipeline(repository)
    built = np.hstack([pipeline.bert(texts), pipeline.cuml(texts)])
    expected = np.array(bundle.facts.reference_scores)
    if built.shape != expected.shape:
        raise BuildError(f"the bundle holds {len(expected)} reference scores for {len(texts)} sample passages")
    worst = np.abs(built - expected).max()
    if worst > REFERENCE_TOLERANCE:
        raise BuildError(
            f"scores differ by up to {worst:.4f} from the bundle's reference, {REFERENCE_TOLERANCE} allowed"
        )
