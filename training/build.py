"""Join a bundle with its base encoder into what the model repository serves."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.jit import ScriptModule

from readability_triton.stages.encoder import PooledEncoder, save_encoder, to_torchscript
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.stages.precision import Precision
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import BaseEncoder, load_base_encoder
from readability_triton.training.bundle import Bundle
from readability_triton.training.compute import choose_compute
from readability_triton.training.config_parameters import set_parameters

REFERENCE_TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "bf16": 0.05, "int8": 0.1, "fp8": 0.2}
"""How far a score may lie from the bundle's reference, which is FP32."""

PIPELINES = ("ensemble_all", "bls_pipeline")


class BuildError(RuntimeError):
    """What was built does not give the bundle's reference scores."""


def build_repository(
    bundle: Bundle,
    repository: Path,
    reference_texts: Sequence[str],
    base: BaseEncoder | None = None,
    precision: Precision = "fp32",
) -> None:
    """Write model.pt, both checkpoint.tl, tokenizer.json and features.json, and tell the configs what is in the slots.

    Args:
        bundle: what training learned.
        repository: the model repository, with its `config.pbtxt` files in place.
        reference_texts: the texts whose scores the bundle holds.
        base: the bundle's base encoder, where it is loaded already.
        precision: what the encoder computes in.

    Raises:
        EncoderError: if the base encoder is not the one that the bundle was trained with.
        BuildError: if the result does not give the reference scores; the repository is then as it was.
    """
    base = base or load_base_encoder(bundle.facts.encoder)
    encoder = assemble(base, bundle)
    with TemporaryDirectory() as unchecked:
        built = _write_artefacts(bundle, base.tokenizer, to_torchscript(encoder, precision), precision, Path(unchecked))
        if reference_texts:
            _check_reference_scores(bundle, Path(unchecked), reference_texts, REFERENCE_TOLERANCE[precision])
        for file in built:
            shutil.move(file, repository / file.relative_to(unchecked))
    _tell_configs(bundle, encoder, repository)


def _write_artefacts(
    bundle: Bundle, tokenizer: Tokenizer, module: ScriptModule, precision: Precision, repository: Path
) -> list[Path]:
    models = ("bert-large", "cuml", "gate", "preprocess")
    encoder, forest, gate, preprocess = (repository / name / "1" for name in models)
    for folder in (encoder, forest, gate, preprocess):
        folder.mkdir(parents=True)
    save_encoder(module, encoder / "model.pt", precision)
    (forest / "checkpoint.tl").write_bytes(bundle.forest)
    (gate / "checkpoint.tl").write_bytes(bundle.gate)
    tokenizer.save(str(preprocess / "tokenizer.json"))
    bundle.features.save(preprocess / "features.json")
    return [path for path in repository.rglob("*") if path.is_file()]


def best_precision() -> Precision:
    """bf16 where a GPU or this CPU multiplies it, else dynamic INT8, which any x86-64 with AVX2 gains from."""
    return "bf16" if choose_compute().dtype == torch.bfloat16 else "int8"


def _tell_configs(bundle: Bundle, built: PooledEncoder, repository: Path) -> None:
    facts = bundle.facts
    slot = {
        "encoder": facts.encoder,
        "encoder_sha256": facts.encoder_sha256,
        "encoder_layers": ",".join(map(str, facts.layers)),
        "encoder_flop_per_token": str(built.flop_per_token),
    }
    set_parameters(repository / "bert-large" / "config.pbtxt", slot)
    line = facts.level_line
    scale = {
        "bert_weight": str(facts.bert_weight),
        "target_quantiles": " ".join(map(str, facts.quantiles)),
        "interval": facts.interval.to_text() if facts.interval else "",
        "level_line": f"{line.start} {line.slope} {line.error}" if line else "",
    }
    for pipeline in PIPELINES:
        set_parameters(repository / pipeline / "config.pbtxt", scale)


def _check_reference_scores(bundle: Bundle, repository: Path, texts: Sequence[str], tolerance: float) -> None:
    pipeline = InProcessPipeline(repository)
    built = np.hstack([pipeline.bert(texts), pipeline.cuml(texts)])
    expected = np.array(bundle.facts.reference_scores)
    if built.shape != expected.shape:
        raise BuildError(f"the bundle holds {len(expected)} reference scores for {len(texts)} sample passages")
    worst = np.abs(built - expected).max()
    if worst > tolerance:
        raise BuildError(f"scores differ by up to {worst:.4f} from the bundle's reference, {tolerance} allowed")
