"""Options of commands that put load on two models: what to send, where, and where to write what was found."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from readability_triton.cli.options import AskedAccess, access_options, model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.compare.comparison import Texts
from readability_triton.compare.workload import draw_lengths, read_texts, texts_of_lengths

Command = TypeVar("Command", bound=Callable[..., Any])

N_DRAWN = 100
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WRITTEN = click.Path(dir_okay=False, path_type=Path)


def workload_options(command: Command) -> Command:
    """Options that `AskedWorkload` takes."""
    options = (
        click.option(
            "--url", help="gRPC address of a running server.  [default: one is started, and stopped at the end]"
        ),
        click.option("--texts", type=_FILE, help="A text a line, or a CSV."),
        click.option("--words", help="Lengths drawn from a distribution, such as normal:175,17 or uniform:20,400."),
        click.option("--input-data", type=_FILE, help="Requests for other models, in perf_analyzer's JSON format."),
        click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Texts a request."),
        click.option("--bert-weight", type=click.FloatRange(0, 1), help="Share of the encoder.  [default: as fitted]"),
        click.option("--tolerance", type=click.FloatRange(0), default=1e-5, show_default=True, help="Between answers."),
        click.option("--html", type=_WRITTEN, help="Where to write a report."),
        click.option("--seed", default=0, show_default=True),
        model_repository_option,
        access_options,
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class AskedWorkload(AskedAccess):
    """What `workload_options` gave."""

    url: str | None
    texts: Path | None
    words: str | None
    input_data: Path | None
    batch: int
    bert_weight: float | None
    tolerance: float
    html: Path | None
    seed: int
    model_repository: Path

    def requests(self) -> Texts | Path:
        """What to send.

        Raises:
            ValueError: if more than one source is named, or one cannot be read.
            OSError: if a file cannot be read.
        """
        if sum(each is not None for each in (self.texts, self.words, self.input_data)) > 1:
            raise ValueError("--texts, --words and --input-data exclude one another")
        if self.input_data:
            return self.input_data
        texts, source = self._texts()
        return Texts(texts, source, self.batch, self.bert_weight, tokenizer(self.model_repository))

    def _texts(self) -> tuple[list[str], str]:
        samples = list(sample_passages().values())
        if self.texts:
            return read_texts(self.texts), self.texts.name
        if self.words:
            lengths = draw_lengths(self.words, N_DRAWN, self.seed)
            return texts_of_lengths(samples, lengths, self.seed), f"{self.words} words"
        return samples, "the sample passages"


def tokenizer(repository: Path) -> Any:
    """The repository's tokenizer; None if it is not built, as where the server is another machine's."""
    file = repository / "preprocess" / "1" / "tokenizer.json"
    if not file.is_file():
        return None
    from readability_triton.stages.tokens import load_tokenizer  # not in the extra `compare`

    return load_tokenizer(file)


def write(path: Path, text: str) -> None:
    """Write a report; missing folders are made. `-` is standard output."""
    if str(path) == "-":
        click.echo(text)
    else:
        write_file(path, text)


def write_file(path: Path, text: str) -> None:
    """Write a report to a file; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
