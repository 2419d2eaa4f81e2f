"""`readability explain`."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding

from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import INTERRUPTED, one_line
from readability_triton.cli.options import AskedAccess, access_options, model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.starting import starting
from readability_triton.cli.workload import write_file
from readability_triton.client.access import Access
from readability_triton.client.errors import ReadabilityError
from readability_triton.client.served_model import ServedModel
from readability_triton.compare.arm import HYBRID, Arm, parse_arm
from readability_triton.compare.comparison import DEFAULT_WEIGHT
from readability_triton.compare.input_data import read_input_data
from readability_triton.compare.workload import of_texts, read_texts
from readability_triton.explain import drawing, record, tables
from readability_triton.explain.many_requests import STOPPED, Load, explain_many
from readability_triton.explain.one_request import Explainer
from readability_triton.explain.profile import Profile, slower
from readability_triton.explain.server import Inputs
from readability_triton.explain.waterfall import Waterfall
from readability_triton.serving.control import GRPC_KEY_NAME
from readability_triton.serving.errors import ServingError
from readability_triton.serving.server import Options

PIPELINES = ("ensemble_all", "bls_pipeline")
TEXT_INPUTS = {"excerpt", "BERT_WEIGHT"}
SELDOM = 1_000_000_000
"""The server that is started here traces of itself one request in so many: tracing begins when it is asked for."""


@click.command(
    epilog="""\b
Examples:
  readability explain                                    # both pipelines, a thousand requests each; starts a server
  readability explain bls_pipeline --requests 1 --text 'The hen sat on her eggs.'
  readability explain ensemble_all 'bls_pipeline?policy=deadline&deadline_ms=100' --concurrency 8 --svg waterfalls.svg
  readability explain my_ensemble --url grpc://localhost:8001 --input-data requests.json
  readability explain my_ensemble --url grpc://localhost:8001 --input-data requests.json --json profile.json
  readability explain my_ensemble --url grpc://localhost:8001 --input-data requests.json --against profile.json

\b
An ensemble's steps are timed by Triton's traces, if the server was started with --trace-config triton,file=/dir/trace
on this machine and its trace API is open to --header; else by Triton's statistics, averages without order.

\b
Exit codes: 0 explained; 1 some requests failed, or another failure; 2 bad usage or a request that the model refuses;
3 no server; 4 no such model, or it is not ready; 5 timed out; 6 the model failed; 7 busy; 130 stopped with Ctrl-C,
with what there was reported."""
)
@click.argument("models", nargs=-1, metavar="[MODEL] [MODEL]")
@click.option("--url", help="gRPC address of a running server.  [default: one is started, and stopped at the end]")
@click.option("--requests", "count", type=click.IntRange(1), default=1000, show_default=True, help="To each MODEL.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=1, show_default=True, help="Requests in flight.")
@click.option("--warm-up", type=click.IntRange(0), default=10, show_default=True, help="Requests before these.")
@click.option("--text", "texts", multiple=True, help="To send; may be given several times.  [default: samples]")
@click.option(
    "--texts",
    "texts_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text a line, or a CSV.",
)
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Texts a request.")
@click.option("--bert-weight", type=click.FloatRange(0, 1), help="Share of the encoder.  [default: as fitted]")
@click.option(
    "--input-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Requests for other models, in perf_analyzer's JSON format.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What --json wrote earlier: say which model takes longer now and delays the answer.",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the picture.")
@click.option(
    "--json", "json_file", type=click.Path(allow_dash=True, path_type=Path), help="Where to write the numbers."
)
@access_options
@model_repository_option
def explain(models: tuple[str, ...], **options: Any) -> None:
    """Show where the time of requests to MODEL goes: each step, what it waited for, and the critical path.

    MODEL is any model of a Triton server, with request parameters if wanted: `MODEL?PARAMETER=VALUE&…`. Two are shown
    side by side. By default, ensemble_all and bls_pipeline.

    Of one request, its own waterfall is shown; of more, medians, the 90th percentile, and the share of each step and
    of the hops between in the critical path.
    """
    asked = Asked(models=models or PIPELINES, **options)
    with one_line(ServingError, ReadabilityError, OSError, ValueError), ExitStack() as stack:
        arms = asked.arms()
        explainer = stack.enter_context(asked.explainer(stack))
        drawn = [asked.explained(explainer, arm) for arm in arms]
        if asked.svg:
            write_file(
                asked.svg,
                drawing.side_by_side([each if isinstance(each, Waterfall) else each.chart() for each in drawn]),
            )
        _show(asked, drawn)
    raise SystemExit(_exit_code(drawn))


@dataclass(frozen=True, kw_only=True)
class Asked(AskedAccess):
    """The command's arguments and options."""

    models: tuple[str, ...]
    url: str | None
    count: int
    concurrency: int
    warm_up: int
    texts: tuple[str, ...]
    texts_file: Path | None
    batch: int
    bert_weight: float | None
    input_data: Path | None
    against: Path | None
    timeout: float
    svg: Path | None
    json_file: Path | None
    model_repository: Path

    def arms(self) -> list[Arm]:
        """The models with their request parameters.

        Raises:
            ValueError: if they are more than two, or one is no model of a server.
        """
        arms = [parse_arm(model) for model in self.models]
        if len(arms) > 2 or any(arm.model == HYBRID for arm in arms):
            raise ValueError(f"one or two models of a server, not {', '.join(self.models)}")
        if sum(map(bool, (self.texts, self.texts_file, self.input_data))) > 1:
            raise ValueError("--text, --texts and --input-data exclude one another")
        return arms

    def explainer(self, stack: ExitStack) -> Explainer:
        """Of the server at `url`, or of one that is started, with its traces in a folder that goes with it."""
        given = self.access_to(self.url)
        if self.url is not None:
            return Explainer(self.url, given, self.timeout, traces_a_file=self.count)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="readability-traces-")))
        options = Options(self.model_repository.resolve(), trace_file=folder / "traces.json", trace_rate=SELDOM)
        server = stack.enter_context(starting(options))
        own = replace(Access(), headers={GRPC_KEY_NAME: server.control.key})
        return Explainer(server.grpc_url, own, self.timeout, traces_a_file=self.count, removes_traces=True)

    def explained(self, explainer: Explainer, arm: Arm) -> Waterfall | Profile:
        """Send the requests."""
        requests = self.requests(explainer, arm.model)
        parameters = dict(arm.parameters)
        if self.count == 1:
            for at in range(self.warm_up):
                explainer.ask(arm.model, requests[at % len(requests)], parameters)
            return explainer.ask(arm.model, requests[0], parameters).waterfall
        load = Load(arm.model, requests, self.count, self.concurrency, parameters, warm_up=self.warm_up)
        with progress(f"explaining {arm.label}", self.count) as on_progress:
            return explain_many(explainer, load, on_progress)

    def requests(self, explainer: Explainer, model: str) -> list[Inputs]:
        """What to send to a model.

        Raises:
            ValueError: if that does not fit the model's inputs.
        """
        config = explainer.server.config(model)
        if self.input_data:
            return list(read_input_data(self.input_data, config).requests)
        names = [tensor.name for tensor in config.input]
        if set(names) != TEXT_INPUTS:
            raise ValueError(f"{model} takes {', '.join(names)}, not texts: give --input-data")
        texts = list(self.texts) or (
            read_texts(self.texts_file) if self.texts_file else list(sample_passages().values())
        )
        weight = self.bert_weight
        if weight is None:
            weight = ServedModel.of(explainer.server.config_json(model)).bert_weight
        return list(of_texts(texts, self.batch, DEFAULT_WEIGHT if weight is None else weight, None, "--text").requests)


def _show(asked: Asked, drawn: list[Waterfall | Profile]) -> None:
    """Print the waterfalls, or the numbers if they are asked for on standard output; write the numbers else."""
    if asked.json_file == Path("-"):
        click.echo(record.as_json(drawn), nl=False)
        return
    out = Console(highlight=False)
    for each in drawn:
        out.print(Padding(tables.as_table(each), (0, 0, 1, 0)))
    profiles = [each for each in drawn if isinstance(each, Profile)]
    if len(profiles) == 2:
        out.print(tables.differences(*profiles))
    for profile in profiles:
        if asked.against:
            before = record.read_means(asked.against.read_text(encoding="utf-8"), profile.model, str(asked.against))
            out.print(tables.blamed(slower(before, profile.means()), str(asked.against)))
    if asked.json_file:
        write_file(asked.json_file, record.as_json(drawn))
    if asked.svg:
        console.print(f"Picture: {asked.svg}")


def _exit_code(drawn: list[Waterfall | Profile]) -> int:
    profiles = [each for each in drawn if isinstance(each, Profile)]
    if any(STOPPED in profile.notes for profile in profiles):
        return INTERRUPTED
    return 1 if any(profile.errors for profile in profiles) else 0
