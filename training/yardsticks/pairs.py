"""Pairs in order: the same content, harder and easier; the easier one is to score higher.

A CSV has the columns `harder` and `easier`, a pair a row. A corpus of sentences with several simplifications each
(`original`, `simple_0`, `simple_1`, …, as ASSET has them) is joined to passages of ten sentences first, one passage of
originals against one of simplifications by the same person.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from readability_triton.training.yardsticks.figure import Figure, Score
from readability_triton.training.yardsticks.table_file import YardstickError, read_rows

SENTENCES_PER_PASSAGE = 10


@dataclass(frozen=True)
class Pairs:
    """N pairs of texts with the same content; `harder[i]` is to score below `easier[i]`."""

    harder: list[str]
    easier: list[str]


def read_pairs(path: Path) -> Pairs:
    """Read pairs, or sentences with simplifications.

    Raises:
        YardstickError: if the columns are of neither kind, a text is missing, or there are too few sentences for one
            passage.
        OSError: if the file cannot be read.
    """
    columns = columns_of(path)
    if {"harder", "easier"} <= set(columns):
        rows = read_rows(path, ["harder", "easier"])
        return Pairs([row["harder"] for row in rows], [row["easier"] for row in rows])
    simple = simplification_columns(path, columns)
    return _passages(path, read_rows(path, ["original", *simple]), simple)


def simplification_columns(path: Path, columns: Sequence[str]) -> list[str]:
    """The columns of simplifications beside `original`.

    Raises:
        YardstickError: if there are none.
    """
    simple = [column for column in columns if column.startswith("simple_")]
    if "original" not in columns or not simple:
        raise YardstickError(f"{path}: columns harder and easier, or original and simple_0, simple_1, … are needed")
    return simple


def columns_of(path: Path) -> list[str]:
    """The names in the first line of a CSV file.

    Raises:
        YardstickError: if it is not CSV in UTF-8.
        OSError: if it cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            return next(csv.reader(file, strict=True), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise YardstickError(f"{path}, line 1: {error}") from error


def _passages(path: Path, rows: list[dict[str, str]], simple: list[str]) -> Pairs:
    n = len(rows) // SENTENCES_PER_PASSAGE
    if not n:
        raise YardstickError(f"{path}: {len(rows)} sentences, {SENTENCES_PER_PASSAGE} make one passage")
    passages = [rows[at * SENTENCES_PER_PASSAGE : (at + 1) * SENTENCES_PER_PASSAGE] for at in range(n)]
    harder, easier = [], []
    for column in simple:
        for passage in passages:
            harder.append(" ".join(row["original"] for row in passage))
            easier.append(" ".join(row[column] for row in passage))
    return Pairs(harder, easier)


def pairs_in_order(pairs: Pairs, score: Score, name: str) -> Figure:
    """The share of pairs whose easier text scores higher; two equal scores count as half a pair in order."""
    distinct = list(dict.fromkeys([*pairs.harder, *pairs.easier]))
    at = {text: position for position, text in enumerate(distinct)}
    scores = score(distinct)
    harder, easier = (scores[:, [at[text] for text in texts]] for texts in (pairs.harder, pairs.easier))
    in_order = (easier > harder).mean(axis=1) + 0.5 * (easier == harder).mean(axis=1)
    return Figure(f"pairs in order, {name}", len(pairs.harder), np.asarray(in_order), "pairs")
