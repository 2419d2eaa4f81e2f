"""`readability bench-encoder`."""

import json
import math
import os

from readability_triton.serving.environment import STAGE_DEFAULTS

# Before PyTorch loads its threads: those of this process must not spin while the server is measured.
os.environ.setdefault("GOMP_SPINCOUNT", STAGE_DEFAULTS["GOMP_SPINCOUNT"])

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from readability_triton.bench.encoder import PLAIN, SERVED, draw_ids, measure, scores_in_fp32
from readability_triton.bench.timing import throughput_ratio
from readability_triton.cli.display import progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import bundle_option, model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.compare.machine import describe_machine
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options
from readability_triton.stages.precision import precision_of
from readability_triton.training.base_encoder import BaseEncoder, EncoderError, load_base_encoder
from readability_triton.training.bundle import Bundle
from readability_triton.training.corpus import Corpus, CorpusError, read_corpus
from readability_triton.training.metrics import rmse

N_TEXTS = 512


@click.command(
    name="bench-encoder",
    epilog="""\b
Examples:
  readability bench-encoder
  readability bench-encoder --data train.csv --rounds 10
  readability bench-encoder --format json > encoder.json""",
)
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV: excerpt, target, url; its first 512 rows.  [default: 512 texts of ordinary lengths]",
)
@click.option("--batch", type=click.IntRange(1, 512), default=32, show_default=True, help="Rows a request.")
@click.option("--rounds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@bundle_option
@model_repository_option
def bench_encoder(data: Path | None, batch: int, rounds: int, style: str, bundle: Path, model_repository: Path) -> None:
    """Compare the served encoder with the base encoder in plain FP32 transformers: throughput, and what is lost."""
    repository = model_repository.resolve()
    with one_line(ServingError, CorpusError, EncoderError, TimeoutError, OSError, ValueError):
        check_built(repository)
        trained = Bundle.load(bundle)
        base = load_base_encoder(trained.facts.encoder)
        corpus = read_corpus(data) if data else None
        ids = _ids(base, corpus)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        with starting(Options(repository)) as server:
            samples, served = measure(base, ids, batch, rounds, server.grpc_url, progress)
        exact = scores_in_fp32(base, trained, ids, batch)
    lengths = [len(each) for each in ids]
    per_batch = len(ids) / math.ceil(len(ids) / batch)  # the last may hold fewer
    figures = {
        "machine": describe_machine(),
        "precision": precision_of(repository / "bert-large" / "1" / "model.pt"),
        "texts": len(ids),
        "tokens": f"{np.mean(lengths):.0f} tokens a text ({min(lengths)} to {max(lengths)})",
        "batch": batch,
        "per_second": {name: float(np.median(each.rates)) * per_batch for name, each in samples.items()},
        "ratio": asdict(throughput_ratio(samples, SERVED, PLAIN)),
        "largest_difference_from_fp32": float(np.abs(served - exact).max()),
    }
    if corpus is not None:
        targets = corpus.targets[:N_TEXTS]
        figures["rmse"] = {"served": rmse(served, targets), "fp32": rmse(exact, targets)}
    if style == "json":
        click.echo(json.dumps(figures, indent=2))
    else:
        _show(figures)


def _ids(base: BaseEncoder, corpus: Corpus | None) -> list[list[int]]:
    """Token ids of the first 512 texts of the corpus, or of stretches of the sample passages."""
    if corpus is None:
        passages = base.tokenizer.encode(" ".join(sample_passages().values()), add_special_tokens=False).ids
        return draw_ids(N_TEXTS, passages)
    return [encoding.ids for encoding in base.tokenizer.encode_batch(corpus.texts[:N_TEXTS])]


def _show(figures: Mapping[str, Any]) -> None:
    ratio = figures["ratio"]
    click.echo(f"{figures['machine']}; {figures['texts']} texts, {figures['tokens']}, {figures['batch']} a request")
    for name, rate in figures["per_second"].items():
        click.echo(f"{name:>20} {rate:8.1f} texts a second")
    click.echo(
        f"served ({figures['precision']}) gives {ratio['value']:.2f} times the throughput "
        f"({ratio['low']:.2f} to {ratio['high']:.2f})"
    )
    click.echo(f"largest difference from the same weights in FP32: {figures['largest_difference_from_fp32']:.4f}")
    if "rmse" in figures:
        click.echo(
            f"RMSE {figures['rmse']['served']:.4f} served, {figures['rmse']['fp32']:.4f} in FP32, on rows as given"
        )
