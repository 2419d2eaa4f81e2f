"""Read a corpus of scored excerpts from CSV."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("excerpt", "target", "url")


class CorpusError(ValueError):
    """The file is not a corpus; the message names the file, the line and the reason."""


@dataclass(frozen=True)
class Corpus:
    """Excerpts with their human scores.

    Attributes:
        texts: N excerpts.
        targets: FP64 [N], ease of reading, higher is easier.
        urls: N sources; rows of one source must never stand on both sides of a split.
    """

    texts: list[str]
    targets: NDArray[np.float64]
    urls: list[str]


def read_corpus(path: Path) -> Corpus:
    """Read the columns `excerpt`, `target` and `url` of a CSV file; others are ignored.

    Raises:
        CorpusError: if a column is missing, a row has no text or no finite target, there are no rows, or it is not
            CSV in UTF-8.
        OSError: if the file cannot be read.
    """
    # A byte-order mark, as spreadsheets write it, is not part of the first column's name.
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            rows = list(_rows(path, reader))
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorpusError(f"{path}, after line {reader.line_num}: {error}") from error
    if not rows:
        raise CorpusError(f"{path}: no rows")
    texts, targets, urls = zip(*rows, strict=True)
    return Corpus(list(texts), np.array(targets), list(urls))


def _rows(path: Path, reader: "csv.DictReader[str]") -> Iterator[tuple[str, float, str]]:
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise CorpusError(f"{path}: no column {', '.join(missing)}")
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        text, target = _text(row["excerpt"], where), _target(row["target"], where)
        if row["url"] is None:
            raise CorpusError(f"{where}: no url")
        yield text, target, row["url"]


def _text(value: str | None, where: str) -> str:
    if not value or not value.strip():
        raise CorpusError(f"{where}: no excerpt")
    return value


def _target(value: str | None, where: str) -> float:
    try:
        target = float(value or "")
    except ValueError:
        raise CorpusError(f"{where}: target {value!r} is not a number") from None
    if not np.isfinite(target):
        raise CorpusError(f"{where}: target {value!r} is not finite")
    return target
