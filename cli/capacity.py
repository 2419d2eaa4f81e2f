"""`readability capacity`."""

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
from readability_triton.compare import charts, environment
from readability_triton.compare.arm import Arm, parse_arm, two_arms
from readability_triton.compare.capacity import report
from readability_triton.compare.capacity.conclusions import answers_agree
from readability_triton.compare.capacity.measurement import CapacityPlan, Measured, measure_capacity
from readability_triton.compare.capacity.slo import Slo
from readability_triton.compare.client_process import ClientProcessError
from readability_triton.compare.stopping import STOPPED_BY_USER
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options

_WRITTEN = click.Path(dir_okay=False, allow_dash=True, path_type=Path)


class _Slo(click.ParamType):
    name = "pN=TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Slo:
        try:
            return value if isinstance(value, Slo) else Slo.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(
    epilog="""\b
Examples:
  readability capacity --slo p95=150ms                     # both pipelines, five minutes, starts a server
  readability capacity --slo p99=250ms --seconds 1200 --html capacity.html --json capacity.json
  readability capacity bls_pipeline --slo p95=150ms --beside 64 --bulk-share 0.02
  readability capacity my_model other_model --slo p99=20ms --url grpc://host:8001 --input-data requests.json
  readability capacity my_model --slo p90=1s --url grpcs://host:8001 --ca ca.pem --json - > capacity.json

\b
A p99 needs time: where it just holds one request in a hundred is over the bound, so some thousands are sent. What
cannot be told from the noise is said to be so.

\b
Exit codes: 0 the capacity of every arm was found, or the bound does not hold at any rate; 1 it could not be told from
the noise, the arms do not give the same answers, or another failure; 2 bad usage; 3 no server; 4 an arm is not ready;
5 timed out; 6 an arm failed; 130 stopped with Ctrl-C, with what there was reported."""
)
@click.argument("models", nargs=-1, metavar="[ARM [ARM]]")
@click.option("--slo", type=_Slo(), required=True, help="The bound on latency, such as p99=150ms.")
@click.option("--seconds", type=click.FloatRange(1), default=300.0, show_default=True, help="Of probing, in all.")
@click.option(
    "--beside", type=click.IntRange(1, 512), help="Mixed load: texts of a bulk request; the bound is on others."
)
@click.option(
    "--bulk-share",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.02,
    show_default=True,
    help="Of all requests, with --beside.",
)
@click.option(
    "--json", "record_file", type=_WRITTEN, help="Where to write figures; - for standard output, in place of tables."
)
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Where to write a picture of the curve.")
@workload_options
def capacity(**options: Any) -> None:
    """Find the highest rate of requests at which a bound on latency holds, for one arm or two.

    Requests come at random times, as a Poisson process has them, whether or not earlier ones are answered; latency
    counts from when a request was due. An arm is a model, `MODEL?PARAMETER=VALUE&…` to send request parameters along,
    or `hybrid`. By default ensemble_all and bls_pipeline, probed in turn.
    """
    asked = Asked(**options)
    with one_line(ServingError, ReadabilityError, ClientProcessError, OSError, ValueError), ExitStack() as stack:
        arms, requests, access = asked.arms(), asked.requests(), asked.access_to(asked.url)
        repository = asked.model_repository.resolve()
        url = asked.url
        if url is None:
            url = stack.enter_context(starting(Options(repository))).grpc_url
        found = asyncio.run(measure_capacity(arms, asked.plan(), requests, url, repository, progress, access))
    with one_line(OSError):
        asked.report(found)
    if found.outcome.incomplete == STOPPED_BY_USER:
        raise SystemExit(INTERRUPTED)
    raise SystemExit(0 if _complete(found, asked.tolerance) else 1)


def _complete(found: Measured, tolerance: float) -> bool:
    agreed = answers_agree(found.outcome, tolerance)
    # Where the bound never holds, no load was put on that may be compared.
    loaded = [arm for arm in found.outcome.arms if arm.holds_lightly]
    same = agreed is None or agreed.same
    return same and not found.outcome.incomplete and all(arm.found.is_known for arm in loaded)


@dataclass(frozen=True, kw_only=True)
class Asked(AskedWorkload):
    """The command's arguments and options."""

    models: tuple[str, ...]
    slo: Slo
    seconds: float
    beside: int | None
    bulk_share: float
    record_file: Path | None
    svg: Path | None

    def arms(self) -> tuple[Arm, ...]:
        """One arm or two.

        Raises:
            click.UsageError: for more.
            ValueError: if one cannot be read.
        """
        if len(self.models) > 2:
            raise click.UsageError("one arm or two can be probed, not more")
        if len(self.models) == 1:
            return (parse_arm(self.models[0]),)
        return two_arms(*(self.models or ("ensemble_all", "bls_pipeline")))

    def plan(self) -> CapacityPlan:
        """What to look for."""
        return CapacityPlan(self.slo, self.seconds, self.beside or 0, self.bulk_share, self.seed)

    def report(self, found: Measured) -> None:
        """Write and show what was found.

        Raises:
            OSError: if a file cannot be written.
        """
        outcome, about = found.outcome, [environment.one_line(found.environment), found.workload.about()]
        if self.beside:
            about.append(f"{self.bulk_share:.1%} of all requests have {self.beside} texts; the bound is on the others")
        if str(self.record_file) != "-":
            Console(highlight=False).print(report.as_table(outcome, about, self.tolerance))
        if self.record_file:
            write(self.record_file, report.as_json(outcome, self.tolerance, found.workload, found.environment))
        if self.html:
            write(self.html, report.as_html(outcome, about, self.tolerance, found.environment))
            console.print(f"Report: {self.html}")
        if self.svg and (drawn := report.curves(outcome)):
            write(self.svg, charts.as_file(charts.latency_against_rate(drawn, 1000 * outcome.slo.seconds)))
            console.print(f"Picture: {self.svg}")
