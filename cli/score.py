"""`readability score`."""

import sys
from pathlib import Path

import click
from rich.console import Console

from readability_triton.cli import report
from readability_triton.cli.display import progress
from readability_triton.cli.failures import one_line
from readability_triton.client.documents import ScoredDocument, score_documents
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.protocol import DEFAULT_URL, Parameter
from readability_triton.client.scorer import Scorer


@click.command(
    epilog="""\b
Columns:
  score        higher is easier
  ±            people's own scores lie within it for 90 % of texts; of several passages, see docs/score.md
  easier than  "83 %": than 83 % of the training excerpts
  CEFR         the nearest level for learners of English, A1 to C2

\b
With the project's own weights, ± held 90.2 % of texts not calibrated on (mean of 20 splits; 89.7 to 90.5 % by band of
length), and the level of a single sentence errs by 0.49 levels (root mean square); levels of longer texts were not
measured. Both are blank where they do not hold: with another --bert-weight than the fitted one, in degraded answers and
rows that skip the encoder, and on servers whose configuration has none. CSV and JSON: columns low, high and level.

\b
Examples:
  readability score essay.txt
  readability score --format json chapter*.txt > scores.json
  pdftotext paper.pdf - | readability score -
  readability score --policy deadline --set deadline_ms=100 essay.txt
  readability score --model-name ensemble_all --fallback '' --url http://localhost:8000 essay.txt

\b
Exit codes: 0 all scored; 1 a file cannot be read or another failure; 2 bad usage or bad text; 3 no server; 4 no
pipeline ready; 5 timed out; 6 a model failed; 7 the server is busy."""
)
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True, path_type=str))
@click.option("--model-name", default="bls_pipeline", show_default=True, help="Pipeline that requests go to first.")
@click.option("--fallback", default="ensemble_all", show_default=True, help="Pipeline that takes over; '' for none.")
@click.option(
    "--policy", help="What bls_pipeline does: parallel, cascade, deadline, fallback, graph.  [default: its own]"
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the policy.")
@click.option("--bert-weight", type=click.FloatRange(0, 1), help="Share of the encoder.  [default: as fitted]")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="grpc://HOST:PORT or http://HOST:PORT.")
@click.option("--format", "style", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def score(
    files: tuple[str, ...],
    model_name: str,
    fallback: str,
    policy: str | None,
    settings: tuple[str, ...],
    bert_weight: float | None,
    url: str,
    style: str,
) -> None:
    """Score FILES, or standard input if there are none or FILES is "-".

    A text longer than a training excerpt is cut at sentence ends into passages of at most about 180 words; shown are
    the mean, each passage, and which is hardest.
    """
    with one_line(ReadabilityError, OSError, ValueError):
        documents = [(name, _read(name)) for name in files or ("-",)]
        parameters = _parameters(policy, settings)
        details = model_name == "bls_pipeline"
        with Scorer(model_name, fallback or None, url, parameters=parameters, details=details) as scorer:
            scored = score_documents(scorer, documents, bert_weight, progress)
    _show(scored, style)


def _parameters(policy: str | None, settings: tuple[str, ...]) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {"policy": policy} if policy else {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        parameters[name] = value
    return parameters


def _read(name: str) -> str:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from error
    if not text.strip():
        raise InvalidRequestError(f"{name} is empty")
    return text


def _show(documents: list[ScoredDocument], style: str) -> None:
    if style == "table":
        Console(highlight=False).print(report.as_table(documents))
    else:
        click.echo({"json": report.as_json, "csv": report.as_csv}[style](documents).rstrip("\n"))
