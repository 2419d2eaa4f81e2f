"""Join a bundle with its base encoder into what the model repository serves."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.jit import ScriptModule

from readability_triton.stages.encoder import PooledEncoder, save_encoder, to_torchscript
from readability_triton.stages.package import load_package, save_package
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.stages.precision import Precision
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import BaseEncoder, load_base_encoder
from readability_triton.training.bundle import Bundle
from readability_triton.training.compute import choose_compute
from readability_triton.training.config_parameters import set_model_file, set_parameters

REFERENCE_TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "bf16": 0.05, "int8": 0.1, "fp8": 0.2}
"""How far a score may lie from the bundle's reference, which is FP32."""

PACKAGE_TOLERANCE: dict[torch.dtype, float] = {torch.float32: 1e-5, torch.bfloat16: 0.05}
"""How far a package's score may lie from TorchScript's."""

Format = Literal["torchscript", "pt2"]
MODEL_FILES: dict[Format, str] = {"torchscript": "model.pt", "pt2": "model.pt2"}
PACKAGED: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""Precisions of a package; int8 and fp8 put modules into the encoder that cannot be exported."""

PIPELINES = ("ensemble_all", "bls_pipeline")


class BuildError(RuntimeError):
    """What was built does not give the bundle's reference scores."""


def build_repository(
    bundle: Bundle,
    repository: Path,
    reference_texts: Sequence[str],
    base: BaseEncoder | None = None,
    precision: Precision = "fp32",
    file_format: Format = "torchscript",
) -> None:
    """Write model.pt, both checkpoint.tl, tokenizer.json and features.json, and tell the configs what is in the slots.

    Args:
        bundle: what training learned.
        repository: the model repository, with its `config.pbtxt` files in place.
        reference_texts: the texts whose scores the bundle holds.
        base: the bundle's base encoder, where it is loaded already.
        precision: what the encoder computes in.
        file_format: what is served; for `pt2`, model.pt2 is compiled for this machine and written too.

    Raises:
        EncoderError: if the base encoder is not the one that the bundle was trained with.
        BuildError: if the result does not give the reference scores, or the precision is none of a package; the
            repository is then as it was.
        RuntimeError: if a package cannot be compiled.
    """
    if file_format == "pt2" and precision not in PACKAGED:
        raise BuildError(f"pt2 is built in {' or '.join(PACKAGED)}, not in {precision}")
    base = base or load_base_encoder(bundle.facts.encoder)
    encoder = assemble(base, bundle)
    with TemporaryDirectory() as unchecked:
        built = _write_artefacts(bundle, base.tokenizer, to_torchscript(encoder, precision), precision, Path(unchecked))
        if reference_texts:
            _check_reference_scores(bundle, Path(unchecked), reference_texts, REFERENCE_TOLERANCE[precision])
        if file_format == "pt2":
            built.append(_write_package(encoder, PACKAGED[precision], Path(unchecked), reference_texts))
        for file in built:
            shutil.move(file, repository / file.relative_to(unchecked))
    _tell_configs(bundle, encoder, repository)
    set_model_file(repository / "bert-large" / "config.pbtxt", MODEL_FILES[file_format])


def _write_package(encoder: PooledEncoder, dtype: torch.dtype, repository: Path, texts: Sequence[str]) -> Path:
    """Write model.pt2, and hold it against model.pt beside it."""
    path = repository / "bert-large" / "1" / MODEL_FILES["pt2"]
    save_package(encoder, path, dtype)
    pipeline = InProcessPipeline(repository)
    expected = pipeline.bert(texts)
    pipeline.encoder = load_package(path)
    worst = float(np.abs(pipeline.bert(texts) - expected).max(initial=0.0))
    if worst > PACKAGE_TOLERANCE[dtype]:
        raise BuildError(f"scores of model.pt2 differ by up to {worst:.6f} from model.pt's")
    return path


def _write_artefacts(
    bundle: Bundle, tokenizer: Tokenizer, module: ScriptModule, precision: Precision, repository: Path
) -> list[Path]:
    encoder, forest, preprocess = (repository / name / "1" for name in ("bert-large", "cuml", "preprocess"))
    for folder in (encoder, forest, preprocess):
        folder.mkdir(parents=True)
    save_encoder(module, encoder / "model.pt", precision)
    (forest / "checkpoint.tl").write_bytes(bundle.forest)
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
