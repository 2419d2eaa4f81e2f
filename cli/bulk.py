"""`readability bulk`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from readability_triton.bulk.formats import FORMATS, ROWS_PER_PART
from readability_triton.cli.display import console
from readability_triton.cli.failures import INTERRUPTED, one_line
from readability_triton.cli.options import AskedAccess, access_options, model_repository_option
from readability_triton.client.protocol import Address
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.errors import ServingError

if TYPE_CHECKING:  # the extra [bulk] may be missing: then there is `--help` all the same
    from readability_triton.bulk.job import Summary
    from readability_triton.bulk.parts import Part, Tally

EVERY_S = 10.0
"""Between lines of progress, where standard error is no terminal."""


@click.command(
    epilog="""\b
IN is a file or a folder, on this machine or by URL (s3://, gs://, hdfs://, …): Parquet, CSV with a header, JSON lines,
or *.txt files with a text each. OUT is a folder of Parquet files, one for every --rows-per-part rows.

\b
Columns of OUT:
  file, row       where the text stands in IN
  score           higher is easier; bert and cuml are the two models' own
  low, high       hold people's own score for 90 % of texts; level is the nearest CEFR level
  route           the models whose scores went into this one; degraded: whether it is not the requested blend
  error           why there is no score; such a row ends nothing
and those named by --keep.

\b
Stopped by Ctrl-C, a killed process, a lost machine or a full disk, the same command goes on from the finished files.

\b
Examples:
  readability bulk articles.parquet scores --text-column body --keep id
  readability bulk folder-of-texts scores
  readability bulk s3://bucket/corpus s3://bucket/scores --address auto --gpus 1
  readability bulk corpus.jsonl.gz scores --url grpc://balancer:8001
  readability bulk corpus.jsonl.gz scores --url grpcs://balancer:8001 --ca ca.pem    # there on every machine

\b
Exit codes: 0 all rows have a score; 1 stopped, or cannot start; 2 bad usage; 4 the repository is not built; 9 done, and
some rows have an error; 130 stopped by Ctrl-C."""
)
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option("--text-column", default="text", show_default=True, help="Column that has the texts.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="A column of IN to copy to OUT; may be repeated.")
@click.option("--format", "style", type=click.Choice(FORMATS), help="Format of IN.  [default: by the files' names]")
@click.option("--bert-weight", type=click.FloatRange(0, 1), help="Share of the encoder.  [default: as fitted]")
@click.option(
    "--rows-per-part",
    type=click.IntRange(1, 1 << 20),
    default=ROWS_PER_PART,
    show_default=True,
    help="Rows of a file in OUT.",
)
@click.option("--actors", type=click.IntRange(1), help="Processes that score.  [default: cores / --cores]")
@click.option("--cores", type=click.IntRange(1), default=1, show_default=True, help="Cores of each.")
@click.option("--gpus", type=click.FloatRange(0), default=0, show_default=True, help="GPUs of each, such as 1 or 0.5.")
@click.option("--address", help="A Ray cluster, such as auto or ray://HOST:10001.  [default: this machine alone]")
@click.option("--url", multiple=True, help="Score by this Triton server, not in process; may be repeated.")
@model_repository_option
@access_options
def bulk(
    source: str,
    output: str,
    text_column: str,
    keep: tuple[str, ...],
    style: Any,
    bert_weight: float | None,
    rows_per_part: int,
    actors: int | None,
    cores: int,
    gpus: float,
    address: str | None,
    url: tuple[str, ...],
    model_repository: Path,
    **access: Any,
) -> None:
    """Score every text of IN into Parquet files in OUT, each row once, on all cores or a Ray cluster."""
    try:
        from readability_triton.bulk import job as bulk_job
        from readability_triton.bulk.rows import Columns
        from readability_triton.bulk.worker import Models
    except ModuleNotFoundError as error:
        needs = f"bulk needs {error.name}: run `pip install 'readability-triton[bulk,server]'`"
        raise click.ClickException(needs) from error
    with one_line(ServingError, bulk_job.JobError, ValueError):
        for each in url:
            Address.parse(each)
        if not url:
            check_built(model_repository)
        access_to_servers = AskedAccess(**access).access_to(url)
        models = Models(model_repository.absolute(), url, bert_weight, "cuda" if gpus else "cpu", access_to_servers)
        columns = Columns(text_column, keep)
        job = bulk_job.Job(source, output, models, columns, style, rows_per_part, actors, cores, gpus, address)
        with _progress() as shown:
            try:
                summary = bulk_job.run(job, shown.on_part, shown.on_start)
            except KeyboardInterrupt:
                click.echo(f"readability: stopped; {shown.rows} rows are done, the same command goes on", err=True)
                raise SystemExit(INTERRUPTED) from None
    _print(summary)
    if summary.total.errors or summary.unreadable:
        raise SystemExit(9)


class _Shown:
    """Progress by bytes of the input, whose rows nobody has counted, with rows a second."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("scoring", total=None, rate="")
        self.rows = 0
        self._bytes = self._bytes_before = self._total = 0
        self._started = self._printed = time.monotonic()
        self._rows_at_start: int | None = None

    def on_start(self, before: "Tally", n_bytes: int) -> None:
        """Show what is done already."""
        self.rows, self._bytes, self._total = before.rows, before.n_bytes, n_bytes
        self._bytes_before = before.n_bytes
        self._bar.update(self._task, total=n_bytes, completed=before.n_bytes)
        if before.rows:
            console.print(f"{before.rows} rows are done already")

    def on_part(self, part: "Part", pid: int) -> None:  # noqa: ARG002 - a progress callback of `job.run`
        """Show one more part."""
        now = time.monotonic()
        self.rows += part.tally.rows
        self._bytes = min(self._bytes + part.tally.n_bytes, self._total)
        if self._rows_at_start is None:  # models have loaded: the rate counts from here
            self._started, self._rows_at_start, self._bytes_before = now, self.rows, self._bytes
        self._bar.update(self._task, completed=self._bytes, rate=self._rate(now))
        if self._bar.disable and now - self._printed >= EVERY_S:
            self._printed = now
            done = 100 * self._bytes / max(self._total, 1)
            console.print(f"{self.rows} rows, {done:.0f} %{self._left(now)}")

    def _rate(self, now: float) -> str:
        seconds = now - self._started
        return f"{(self.rows - (self._rows_at_start or 0)) / seconds:.0f} rows/s" if seconds else ""

    def _left(self, now: float) -> str:
        new = self._bytes - self._bytes_before
        if not new:
            return ""
        minutes = (self._total - self._bytes) * (now - self._started) / new / 60
        return f", {self._rate(now)}, {minutes:.1f} minutes left"


@contextmanager
def _progress() -> Iterator[_Shown]:
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, disable=not console.is_terminal) as bar:
        yield _Shown(bar)


def _print(summary: "Summary") -> None:
    total, now = summary.total, summary.now
    click.echo(f"rows\t{total.rows}")
    click.echo(f"scored\t{total.rows - sum(total.errors.values())}")
    for kind, rows in sorted(total.errors.items(), key=lambda item: -item[1]):
        click.echo(f"error: {kind}\t{rows}")
    if now.rows and summary.seconds:
        click.echo(f"rows this time\t{now.rows}\nseconds\t{summary.seconds:.1f}")
        click.echo(f"rows/s\t{now.rows / summary.seconds:.1f}")
        if now.tokens:
            click.echo(f"tokens/s\t{now.tokens / summary.seconds:.0f}")
    for file in summary.unreadable:
        click.echo(f"readability: {file}: input cannot be read; mend it and run the command again", err=True)
