"""`readability demo`."""

import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.scorer import Scorer
from readability_triton.client.scores import Scores
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options

PIPELINES = ("ensemble_all", "bls_pipeline")
REPEATS = 5
AGREEMENT = 1e-5


@click.command(
    epilog="""\b
Exit codes: as for `readability serve`; 1 if the pipelines disagree by more than 0.00001."""
)
@model_repository_option
def demo(model_repository: Path) -> None:
    """Start a server on free ports, score the sample passages through both pipelines, show both, stop it."""
    with one_line(ServingError, ReadabilityError, TimeoutError, OSError), ExitStack() as stack:
        server = stack.enter_context(starting(Options(model_repository.resolve())))
        scorers = [stack.enter_context(Scorer(name, None, server.grpc_url)) for name in PIPELINES]
        table, disagreement = _compare(scorers)
    Console(highlight=False).print(table)
    agree = disagreement <= AGREEMENT
    click.echo(f"Largest difference between the two: {disagreement:.1e}{'' if agree else ', more than allowed'}.")
    raise SystemExit(0 if agree else 1)


def _compare(scorers: list[Scorer]) -> tuple[Table, float]:
    caption = f"higher is easier; latency is the median of {REPEATS} requests, in turn"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=caption, caption_justify="left", pad_edge=False)
    table.add_column("passage", no_wrap=True)
    for name in PIPELINES:
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("easier\nthan", justify="right", no_wrap=True)
    table.add_column("CEFR", justify="right", no_wrap=True)
    disagreement = 0.0
    for scorer in scorers:
        scorer.score(["A request that is not timed, for what is made on first use."])
    for passage, text in sample_passages().items():
        answers, milliseconds = _score_in_turn(scorers, text)
        scores = [float(answer.values[0]) for answer in answers]
        disagreement = max(disagreement, max(scores) - min(scores))
        percentile, level = scorers[0].served_model().percentile(scores[0]), answers[0].level[0]
        cells = [
            cell for pair in zip(scores, milliseconds, strict=True) for cell in (f"{pair[0]:.4f}", f"{pair[1]:.1f}")
        ]
        table.add_row(passage, *cells, f"{percentile:.0f} %" if percentile is not None else "", level or "")
    return table, disagreement


def _score_in_turn(scorers: list[Scorer], text: str) -> tuple[list[Scores], list[float]]:
    """Each scorer's last answer for `text` and its median latency in milliseconds."""
    samples: list[list[float]] = [[] for _ in scorers]
    answers: list[Scores] = []
    for _ in range(REPEATS):
        answers = []
        for scorer, own in zip(scorers, samples, strict=True):
            start = time.perf_counter()
            answers.append(scorer.score([text]))
            own.append((time.perf_counter() - start) * 1000)
    return answers, [statistics.median(each) for each in samples]
