"""`readability score`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from readability_triton.cli import report
from readability_triton.cli.display import console, progress
from readability_triton.cli.failures import EXIT_CODES, exit_code, one_line
from readability_triton.cli.options import AskedAccess, server_options
from readability_triton.client.documents import ScoredDocument, score_accepted
from readability_triton.client.errors import InvalidRequestError, ReadabilityError
from readability_triton.client.file_text import check_encoding, expand, file_text
from readability_triton.client.scorer import Scorer
from readability_triton.client.served_model import GUARD
from readability_triton.client.table_files import is_table, open_table
from readability_triton.client.tables import TableScoring
from readability_triton.client.transports.transport import Parameter

PIPELINE = "bls_pipeline"

RETRIES_OF_A_TABLE = 8
"""Pauses of 20 seconds in all: a server that starts again is waited for."""


@click.command(
    epilog="""\b
Columns:
  score        higher is easier
  ±            people's own scores lie within it for 90 % of texts; of several passages, see docs/score.md
  easier than  "83 %": than 83 % of the training excerpts
  document     beside its name: short, in language fr, not prose; such scores are doubtful (policy guard)
  CEFR         the nearest level for learners of English, A1 to C2

\b
With the project's own weights, ± held 90.2 % of texts not calibrated on (mean of 20 splits; 89.7 to 90.5 % by band of
length), and the level of a single sentence errs by 0.49 levels (root mean square); levels of longer texts were not
measured. Both are blank where they do not hold: with another --bert-weight than the fitted one, in degraded answers,
and on servers whose configuration has none. CSV and JSON: columns low, high and level.

\b
Examples:
  readability score essay.txt
  readability score --format json chapter*.txt > scores.json
  readability score --format csv essays/ 'drafts/*.docx' > scores.csv
  readability score --column text --output scored.csv reviews.csv
  readability score --url grpc://one:8001 --url grpc://two:8001 --column text --output scored.parquet reviews.parquet
  readability score --url https://api.test --ca ca.pem --header 'X-Team: reading' essay.txt
  readability score --strict --format csv essays/ > scores.csv
  readability score --policy deadline --set deadline_ms=100 essay.txt
  readability score --model-name ensemble_all --fallback '' --url http://localhost:8000 essay.txt

\b
Exit codes: 0 all scored; 1 a file cannot be opened, or another failure; 2 bad usage, a file without a text that can be
read, or a text that the server or --strict refuses; 3 no server; 4 no pipeline ready; 5 timed out; 6 a model failed;
7 the server is busy; 8 it refuses access.
With 1 and 2 the other FILES are scored, and stderr has a line for each that is not, with the reason."""
)
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True, path_type=str))
@click.option("--model-name", default="bls_pipeline", show_default=True, help="Pipeline that requests go to first.")
@click.option("--fallback", default="ensemble_all", show_default=True, help="Pipeline that takes over; '' for none.")
@click.option(
    "--policy",
    help="Of bls_pipeline: parallel, deadline, fallback, graph, guard, shadow; '' for its own.  [default: guard]",
)
@click.option("--strict", is_flag=True, help="Refuse short texts, other languages and what is no prose.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the policy.")
@click.option("--bert-weight", type=click.FloatRange(0, 1), help="Share of the encoder.  [default: as fitted]")
@click.option("--encoding", help="Of the files.  [default: recognised; UTF-8 if that fits]")
@click.option("--column", help="FILES is one CSV, TSV or Parquet table: the column of its texts.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where the table with scores goes.")
@click.option("--prefix", default="", help="Of the names of columns added to a table.")
@click.option("--workers", type=click.IntRange(1, 256), default=8, show_default=True, help="Requests in flight.")
@click.option("--retries", type=click.IntRange(0), help="When no server can answer.  [default: 0; of a table 8]")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True, help="Seconds.")
@server_options
@click.option("--format", "style", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def score(files: tuple[str, ...], style: str, **options: Any) -> None:
    """Score FILES, or standard input if there are none or FILES is "-".

    FILES are texts, DOCX, PDF, EPUB, HTML and subtitles (SRT, VTT), folders of them, and patterns in quotes.

    A text longer than a training excerpt is cut at sentence ends into passages of at most about 180 words; shown are
    the mean, each passage, and which is hardest.

    With --column, FILES is a table: the same table is written to --output, with columns added. Cut off, the same
    command goes on where it was.
    """
    asked = Asked(**options)
    with one_line(ReadabilityError, OSError, ValueError):
        if asked.column is not None:
            refused = _score_table(asked, files)
            code = EXIT_CODES[InvalidRequestError] if refused else 0
        else:
            code = _score_files(asked, files, style)
    raise SystemExit(code)


@dataclass(frozen=True, kw_only=True)
class Asked(AskedAccess):
    """The command's options."""

    model_name: str
    fallback: str
    policy: str | None
    strict: bool
    settings: tuple[str, ...]
    bert_weight: float | None
    encoding: str | None
    column: str | None
    output: Path | None
    prefix: str
    workers: int
    retries: int | None
    timeout: float
    urls: tuple[str, ...]

    def scorer(self, retries: int, in_flight: int | None = None) -> Scorer:
        """A scorer as these ask for."""
        return Scorer(
            self.model_name,
            None if self.strict else self.fallback or None,
            self.urls,
            timeout_s=self.timeout,
            parameters=self.parameters(),
            details=self.model_name == PIPELINE,
            access=self.access(),
            in_flight=in_flight or self.workers,
            retries=retries,
        )

    def parameters(self) -> dict[str, Parameter]:
        """The request's: a policy and its settings."""
        policy = self.policy
        if policy is None and self.model_name == PIPELINE:
            policy = GUARD
        if self.strict and (policy != GUARD or self.model_name != PIPELINE):
            raise click.UsageError(f"--strict needs policy {GUARD} of {PIPELINE}: no other checks texts")
        settings = (*self.settings, "on_flag=refuse") if self.strict else self.settings
        return _parameters(policy, settings)

    def check(self, scorer: Scorer) -> None:
        """Raise `ReadabilityError` if texts are to be refused by a server that does not check them."""
        if self.strict and not scorer.served_model().reports_flags(GUARD):
            raise ReadabilityError(f"--strict: the server's {PIPELINE} has no output FLAGS, so it checks no text")

    def job(self, path: Path) -> dict[str, Any]:
        """What the scores of a table depend on."""
        status = path.stat()
        return {
            "table": [str(path.resolve()), status.st_size, status.st_mtime_ns, self.column, self.encoding],
            "pipeline": [
                self.model_name,
                self.fallback,
                self.policy,
                self.strict,
                sorted(self.settings),
                self.bert_weight,
            ],
        }


def _score_table(asked: Asked, files: Sequence[str]) -> int:
    """Score a table; how many rows were refused."""
    if len(files) != 1 or asked.output is None or asked.column is None:
        raise click.UsageError("--column takes one table, and --output for where the result goes")
    path = Path(files[0])
    if not is_table(path) or asked.output.suffix.lower() != path.suffix.lower():
        raise click.UsageError(f"{path} and {asked.output} must both end in .csv, .tsv or .parquet, and alike")
    if asked.output.resolve() == path.resolve():
        raise click.UsageError(f"--output {asked.output} is the table itself")
    table = open_table(path, asked.column, asked.encoding)
    scoring = TableScoring(table, asked.output, asked.prefix, asked.job(path))
    if scoring.resumed:
        console.print(f"going on after {scoring.resumed} rows of {scoring.journal}")
    with (
        asked.scorer(RETRIES_OF_A_TABLE if asked.retries is None else asked.retries, in_flight=1) as scorer,
        progress("scoring", table.n_rows) as on_progress,
    ):
        asked.check(scorer)
        outcome = scoring.run(scorer, asked.bert_weight, asked.workers, on_progress)
    console.print(
        f"{asked.output}: {outcome.scored} rows scored, {outcome.gaps} without a text, {outcome.refused} refused"
        + (f" (column {asked.prefix}error says why)" if outcome.refused else "")
    )
    return outcome.refused


def _parameters(policy: str | None, settings: tuple[str, ...]) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {"policy": policy} if policy else {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        parameters[name] = value
    return parameters


def _score_files(asked: Asked, files: Sequence[str], style: str) -> int:
    """Score and show what can be; a line on standard error for each file that cannot, and the exit code for these."""
    documents, unscored = _read_all(files or ("-",), asked.encoding)
    try:
        if documents:
            unscored += _score_documents(asked, documents, style)
    finally:
        for error in unscored:
            click.echo(f"readability: {error}", err=True)
    return min(map(exit_code, unscored), default=0)


def _read_all(names: Sequence[str], encoding: str | None) -> tuple[list[tuple[str, str]], list[Exception]]:
    """Names and texts of all files meant, and why others have none."""
    check_encoding(encoding)
    documents: list[tuple[str, str]] = []
    unread: list[Exception] = []
    for name in names:
        try:
            paths = [Path(name)] if name == "-" else expand(name)
        except (InvalidRequestError, OSError) as error:
            unread.append(error)
            continue
        for path in paths:
            try:
                data = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
                documents.append((str(path), file_text(str(path), data, encoding)))
            except (InvalidRequestError, OSError) as error:
                unread.append(error)
    return documents, unread


def _score_documents(asked: Asked, documents: Sequence[tuple[str, str]], style: str) -> list[InvalidRequestError]:
    """Score documents and show them; why others are refused, by the server or by --strict."""
    with asked.scorer(asked.retries or 0) as scorer:
        asked.check(scorer)
        scored, refused = score_accepted(scorer, documents, asked.bert_weight, progress)
    if scored:
        _show(scored, style)
    reasons = [(documents[index][0], reason) for index, reason in refused.items()]
    reasons += [(each.name, f"refused: {', '.join(each.flags or ())}") for each in scored if each.is_refused]
    return [InvalidRequestError(f"{name}: {reason}") for name, reason in reasons]


def _show(documents: list[ScoredDocument], style: str) -> None:
    if style == "table":
        Console(highlight=False).print(report.as_table(documents))
    else:
        click.echo({"json": report.as_json, "csv": report.as_csv}[style](documents).rstrip("\n"))
