"""`readability placements`."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from tritonclient.grpc.aio import InferenceServerClient

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.protocol import Address
from readability_triton.client.served_model import ServedModel
from readability_triton.compare import charts, environment
from readability_triton.compare.arm import HYBRID, parse_arm
from readability_triton.compare.callers import SCORE, make_caller
from readability_triton.compare.page import PAGES
from readability_triton.compare.peak import Use, best_use
from readability_triton.compare.placements import BATCH_SIZES, AtBatchSize, as_rows, measure
from readability_triton.compare.workload import Workload, of_texts
from readability_triton.ensemble.config import read_config
from readability_triton.serving.errors import PlacementError, ServingError
from readability_triton.serving.gpu import find_gpus, lacking
from readability_triton.serving.placement import Placement, placement_environment
from readability_triton.serving.server import Options
from readability_triton.stages.tokens import load_tokenizer

PLACEMENTS = (Placement.CPU, Placement.GPU)
PIPELINES = ("ensemble_all", "bls_pipeline", HYBRID)
Figures = dict[str, list[AtBatchSize]]


@click.command(
    epilog="""\b
Examples:
  readability placements
  readability placements --largest 64 --rounds 5 --html placements.html --json placements.json"""
)
@click.option(
    "--largest",
    type=click.Choice([str(size) for size in BATCH_SIZES]),
    default=str(BATCH_SIZES[-1]),
    show_default=True,
    help="Largest batch size.",
)
@click.option(
    "--placement",
    "chosen",
    type=click.Choice([each.value for each in PLACEMENTS]),
    multiple=True,
    default=[each.value for each in PLACEMENTS],
    show_default=True,
    help="May be given several times.",
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(0), default=1.0, show_default=True, help="Of a round, at least.")
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Requests in flight.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Where to write a report.")
@click.option("--json", "record_file", type=click.Path(dir_okay=False, path_type=Path), help="Where to write figures.")
@model_repository_option
def placements(
    largest: str,
    chosen: tuple[str, ...],
    rounds: int,
    seconds: float,
    concurrency: int,
    html: Path | None,
    record_file: Path | None,
    model_repository: Path,
) -> None:
    """Measure every pipeline in every placement, at batch sizes 1, 2, 4 … 512, on the sample passages.

    All on the CPU, hybrid (stages at the client, models in the server) and all on the GPU; a placement that this
    machine cannot run is shown as not run, with the reason.
    """
    repository = model_repository.resolve()
    sizes = [size for size in BATCH_SIZES if size <= int(largest)]
    figures: Figures = {}
    missing: dict[str, str] = {}
    with one_line(ServingError, ReadabilityError, RuntimeError, TimeoutError, OSError, ValueError):
        workloads: dict[int, Workload] = {}
        about: dict[str, Any] = {}
        for placement in map(Placement, dict.fromkeys(chosen)):
            try:
                placement_environment(placement, repository)
            except PlacementError:
                reason = "; ".join(lacking(repository))
                missing |= {_name(placement, pipeline): reason for pipeline in PIPELINES}
                continue
            with starting(Options(repository, placement)) as server:
                measuring = _measure(server.grpc_url, repository, sizes, placement, (rounds, seconds, concurrency))
                found, workloads, about = asyncio.run(measuring)
                figures |= found
        if not figures:
            raise PlacementError(f"nothing can be measured here: {'; '.join(lacking(repository))}")
    uses = _uses(figures, workloads, repository)
    lines = [environment.one_line(about), workloads[1].about()]
    lines += [f"{name}: {use}" for name, use in uses.items()]
    _show(figures, missing, lines)
    if record_file:
        record = {
            "figures": {name: [asdict(each) for each in rows] for name, rows in figures.items()},
            "best_use": {name: asdict(use) for name, use in uses.items()},
            "not_run": missing,
            "concurrency": concurrency,
            "environment": about,
        }
        record_file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    if html:
        html.write_text(_page(figures, missing, lines, about, concurrency), encoding="utf-8")
        console.print(f"Report: {html}")


async def _measure(
    url: str, repository: Path, sizes: list[int], placement: Placement, how: tuple[int, float, int]
) -> tuple[Figures, dict[int, Workload], dict[str, Any]]:
    rounds, seconds, concurrency = how
    arms = [parse_arm(name) for name in PIPELINES]
    async with InferenceServerClient(Address.parse(url).location) as client:
        about = await environment.describe_environment(client, url, arms)
        weight = ServedModel.of(await client.get_model_config("ensemble_all", as_json=True)).bert_weight
        tokenizer = load_tokenizer(repository / "preprocess" / "1" / "tokenizer.json")
        texts = list(sample_passages().values())
        workloads = {size: of_texts(texts, size, weight or 0.5, tokenizer, "the sample passages") for size in sizes}
        callers = {
            _name(placement, arm.model): {
                size: make_caller(arm, workload, client, repository, [SCORE]) for size, workload in workloads.items()
            }
            for arm in arms
        }
        with progress(f"{placement.value}, batch sizes 1 to {sizes[-1]}", rounds * len(arms) * len(sizes)) as advance:
            found = await measure(
                callers, lambda size: len(workloads[size].requests), rounds, seconds, concurrency, advance
            )
    return found, workloads, about


def _uses(figures: Figures, workloads: Mapping[int, Workload], repository: Path) -> dict[str, Use]:
    """The use that each pipeline makes of the chip; none where the configuration does not say what a token costs."""
    told = read_config(repository / "bert-large" / "config.pbtxt").parameters.get("encoder_flop_per_token")
    if told is None:
        return {}
    tokens_a_text = float(np.mean(workloads[1].tokens or [0]))
    gpu = next((each.name for each in find_gpus()), None)
    return {
        name: best_use(rows, tokens_a_text, int(told.string_value), gpu if name.endswith("GPU") else None)
        for name, rows in figures.items()
    }


def _name(placement: Placement, pipeline: str) -> str:
    device = placement.value.upper()
    return f"hybrid, models on {device}" if pipeline == HYBRID else f"{pipeline}, all on {device}"


def _show(figures: Figures, missing: Mapping[str, str], about: list[str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in figures:
        table.add_column(name.replace(", ", ",\n"), justify="right")
    for row in as_rows(figures):
        table.add_row(*row)
    out = Console(highlight=False)
    for line in about:
        out.print(line)
    out.print(table)
    for name, reason in missing.items():
        out.print(f"not run: {name}: {reason}")


def _page(
    figures: Figures, missing: Mapping[str, str], about: list[str], described: Mapping[str, Any], concurrency: int
) -> str:
    series = [(name, [at.batch for at in rows], [at.per_second for at in rows]) for name, rows in figures.items()]
    return PAGES.get_template("placements.html.j2").render(
        title="Pipelines by placement and batch size",
        about=about,
        concurrency=f"{concurrency} request{'s' if concurrency > 1 else ''} in flight",
        chart=charts.lines(series, "texts a request", "texts a second"),
        names=list(figures),
        rows=as_rows(figures),
        missing=list(missing.items()),
        environment=environment.to_json(described),
    )
