"""`readability bench-encoder`."""

import json
import math
import os

from readability_triton.serving.environment import STAGE_DEFAULTS

# Before PyTorch loads its threads: those of this process must not spin while the server is measured.
os.environ.setdefault("GOMP_SPINCOUNT", STAGE_DEFAULTS["GOMP_SPINCOUNT"])

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from readability_triton.bench import encoder_speed, orchestration
from readability_triton.bench.orchestration import Samples
from readability_triton.cli.display import progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import bundle_option, model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.compare.machine import describe_machine
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options
from readability_triton.stages.encoder import predict, to_torchscript
from readability_triton.stages.precision import precision_of
from readability_triton.stages.tokens import PAD_TO_MULTIPLE_OF
from readability_triton.training.assemble import assemble
from readability_triton.training.base_encoder import BaseEncoder, EncoderError, load_base_encoder
from readability_triton.training.bundle import Bundle
from readability_triton.training.corpus import Corpus, CorpusError, read_corpus
from readability_triton.training.metrics import rmse

PLAIN, SERVED = "plain transformers", "served"
N_TEXTS = 512


@dataclass(frozen=True)
class Rows:
    """Token ids of the texts, and the human scores of those from a corpus."""

    ids: list[list[int]]
    targets: NDArray[np.float64] | None


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
        rows = _rows(base, read_corpus(data) if data else None)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        with starting(Options(repository)) as server:
            samples, served = _run(base, rows.ids, batch, rounds, server.grpc_url)
        exact = _in_fp32(base, trained, rows.ids, batch)
    lengths = [len(each) for each in rows.ids]
    per_batch = len(rows.ids) / math.ceil(len(rows.ids) / batch)  # the last may hold fewer
    told = {
        "machine": describe_machine(),
        "precision": precision_of(repository / "bert-large" / "1" / "model.pt"),
        "texts": len(rows.ids),
        "tokens": f"{np.mean(lengths):.0f} tokens a text ({min(lengths)} to {max(lengths)})",
        "batch": batch,
        "per_second": {name: float(np.median(each.rates)) * per_batch for name, each in samples.items()},
        "ratio": asdict(orchestration.throughput_ratio(samples, SERVED, PLAIN)),
        "largest_difference_from_fp32": float(np.abs(served - exact).max()),
    }
    if rows.targets is not None:
        told["rmse"] = {"served": rmse(served, rows.targets), "fp32": rmse(exact, rows.targets)}
    if style == "json":
        click.echo(json.dumps(told, indent=2))
    else:
        _show(told)


def _rows(base: BaseEncoder, corpus: Corpus | None) -> Rows:
    """The first 512 texts of the corpus, or stretches of the sample passages."""
    if corpus is None:
        passages = base.tokenizer.encode(" ".join(sample_passages().values()), add_special_tokens=False).ids
        return Rows(encoder_speed.draw_ids(N_TEXTS, passages), None)
    texts = corpus.texts[:N_TEXTS]
    return Rows([encoding.ids for encoding in base.tokenizer.encode_batch(texts)], corpus.targets[:N_TEXTS])


def _run(
    base: BaseEncoder, ids: list[list[int]], batch: int, rounds: int, url: str
) -> tuple[dict[str, Samples], NDArray[np.float64]]:
    """Rates of both, batches in turn, and the served scores FP64 [N]."""
    plain, served = (
        {str(number): each for number, each in enumerate(encoder_speed.cut_into_batches(ids, batch, width))}
        for width in (None, PAD_TO_MULTIPLE_OF)
    )
    scores: dict[str, NDArray[np.float32]] = {}
    arms = {
        PLAIN: encoder_speed.plain_transformers(base.bert, plain),
        SERVED: encoder_speed.served_encoder(url, served, scores),
    }
    for call in arms.values():
        call("0")
    with progress("encoding", rounds * len(plain) * len(arms)) as advance:
        samples = orchestration.run_in_turn(arms, list(plain), rounds, advance)
    return samples, np.concatenate([scores[name] for name in served])[:, 0].astype(float)


def _in_fp32(base: BaseEncoder, bundle: Bundle, ids: list[list[int]], batch: int) -> NDArray[np.float64]:
    encoder = to_torchscript(assemble(base, bundle), "fp32")
    batches = encoder_speed.cut_into_batches(ids, batch)
    return np.concatenate([predict(encoder, *each) for each in batches])[:, 0].astype(float)


def _show(told: Mapping[str, Any]) -> None:
    ratio = told["ratio"]
    click.echo(f"{told['machine']}; {told['texts']} texts, {told['tokens']}, {told['batch']} a request")
    for name, rate in told["per_second"].items():
        click.echo(f"{name:>20} {rate:8.1f} texts a second")
    click.echo(
        f"served ({told['precision']}) gives {ratio['value']:.2f} times the throughput "
        f"({ratio['low']:.2f} to {ratio['high']:.2f})"
    )
    click.echo(f"largest difference from the same weights in FP32: {told['largest_difference_from_fp32']:.4f}")
    if "rmse" in told:
        click.echo(f"RMSE {told['rmse']['served']:.4f} served, {told['rmse']['fp32']:.4f} in FP32, on rows as given")
