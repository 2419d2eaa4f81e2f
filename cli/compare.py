"""`readability compare`."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import INTERRUPTED, one_line
from readability_triton.cli.starting import starting
from readability_triton.cli.workload import AskedWorkload, workload_options, write
from readability_triton.client.errors import ReadabilityError
from readability_triton.compare import environment, page, record
from readability_triton.compare.arm import Arm, two_arms
from readability_triton.compare.client_process import ClientProcessError
from readability_triton.compare.comparison import run_comparison
from readability_triton.compare.experiment import Plan
from readability_triton.compare.stopping import STOPPED_BY_USER
from readability_triton.compare.summary import summarise
from readability_triton.compare.tables import as_table
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options


class _Rate(click.ParamType):
    name = "RATE|auto|none"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if value in ("auto", "none"):
            return value
        try:
            rate = float(str(value))
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            self.fail(f"{value!r} is neither a rate in requests a second nor auto nor none", param, ctx)
        return rate


@click.command(
    epilog="""\b
Examples:
  readability compare                                      # both pipelines, two minutes, starts a server
  readability compare ensemble_all hybrid --html report.html
  readability compare --aa bls_pipeline                    # A/A: no difference should be found
  readability compare --concurrency 1 --concurrency 32 --rate none --texts essays.txt --batch 8
  readability compare 'bls_pipeline?policy=parallel' ensemble_all --url grpc://gpu-box:8001 --words lognormal:150,0.5
  readability compare --beside 256 --concurrency 1         # single texts next to one client of 256 texts a request
  readability compare my_model other_model --url grpc://host:8001 --input-data requests.json
  readability compare --url grpcs://host:8001 --ca ca.pem --header 'X-Team: reading'

\b
Exit codes: 0 compared; 1 the arms do not give the same answers, or another failure; 3 no server; 4 an arm is not
ready; 5 timed out; 6 an arm failed; 130 stopped with Ctrl-C, with what there was reported."""
)
@click.argument("first", default="ensemble_all")
@click.argument("second", required=False)
@click.option("--aa", is_flag=True, help="Compare FIRST with itself.")
@click.option(
    "--metrics-url",
    help="Of that server's metrics, for the times of bls_pipeline's stages, such as http://host:8002/metrics.",
)
@click.option("--concurrency", type=click.IntRange(1), multiple=True, default=(1, 8), show_default=True)
@click.option(
    "--rate",
    type=_Rate(),
    multiple=True,
    default=("auto",),
    show_default=True,
    help="Open loop, requests a second; auto: half of what the slower arm reached; none: no open loop.",
)
@click.option("--seconds", type=click.FloatRange(1), default=100.0, show_default=True, help="Of measuring, in all.")
@click.option("--warm-up", type=click.FloatRange(0), default=8.0, show_default=True, help="Most seconds before a load.")
@click.option(
    "--beside",
    type=click.IntRange(1, 512),
    help="Mixed load: another client sends so many texts a request, one after the other, next to each closed loop.",
)
@click.option("--json", "record_file", type=click.Path(dir_okay=False, path_type=Path), help="Where to write samples.")
@workload_options
def compare(**options: Any) -> None:
    """Compare the latency, throughput and answers of two arms, FIRST and SECOND, under the same load.

    An arm is a model, `MODEL?PARAMETER=VALUE&…` to send request parameters along, or `hybrid`: stages at the client,
    models in the server. By default ensemble_all is compared with bls_pipeline.
    """
    asked = Asked(**options)
    with one_line(ServingError, ReadabilityError, ClientProcessError, OSError, ValueError), ExitStack() as stack:
        arms, requests, access = asked.arms(), asked.requests(), asked.access_to(asked.url)
        repository = asked.model_repository.resolve()
        url, metrics_url = asked.url, asked.metrics_url
        if url is None:
            server = stack.enter_context(starting(Options(repository)))
            url, metrics_url = server.grpc_url, server.metrics_url
        comparing = run_comparison(arms, asked.plan(), requests, url, repository, progress, metrics_url, access)
        found = asyncio.run(comparing)
    with console.status("resampling …"):
        summary = summarise(found.outcome, asked.tolerance)
    about = [environment.one_line(found.environment), found.workload.about()]
    Console(highlight=False).print(as_table(summary, about))
    with one_line(OSError):
        if asked.record_file:
            write(asked.record_file, record.as_json(found.outcome, summary, found.workload, found.environment))
        if asked.html:
            write(asked.html, page.as_html(found.outcome, summary, about, found.environment))
            console.print(f"Report: {asked.html}")
    if found.outcome.incomplete == STOPPED_BY_USER:
        raise SystemExit(INTERRUPTED)
    raise SystemExit(0 if summary.agreement.same and not found.outcome.incomplete else 1)


@dataclass(frozen=True, kw_only=True)
class Asked(AskedWorkload):
    """The command's arguments and options."""

    first: str
    second: str | None
    aa: bool
    metrics_url: str | None
    concurrency: tuple[int, ...]
    rate: tuple[float | str, ...]
    seconds: float
    warm_up: float
    beside: int | None
    record_file: Path | None

    def arms(self) -> tuple[Arm, Arm]:
        """Both arms.

        Raises:
            ValueError: if one cannot be read, or an A/A test is given two.
        """
        if self.aa and self.second:
            raise ValueError("--aa compares one arm with itself: name one")
        return two_arms(self.first, self.first if self.aa else self.second or "bls_pipeline")

    def plan(self) -> Plan:
        """What to measure; the seconds are shared equally among the loads. A mixed load has no open loop."""
        rates = [None if rate == "auto" else float(rate) for rate in self.rate if rate != "none"]
        rates = [] if self.beside else rates
        n_loads = len(self.concurrency) + len(rates)
        return Plan(self.concurrency, rates, self.seconds / n_loads, self.warm_up, self.seed, self.beside or 0)
