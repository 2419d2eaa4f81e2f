"""Score a column of a table: the same table, with scores added, and a start again where it was cut off.

Scores go to a journal beside the target, `TARGET.part`, as they come: a line for each row, in JSON. When every row has
one, the table is written and takes the target's place, and the journal goes. What is cut off between the two is taken
up from the journal by the same call.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from readability_triton.client.documents import ScoredDocument, score_accepted
from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.in_order import in_order
from readability_triton.client.scorer import Scorer
from readability_triton.client.table_files import Cells, TableFile

TYPES: Mapping[str, type] = {
    "score": float,
    "percentile": float,
    "low": float,
    "high": float,
    "level": str,
    "degraded": bool,
    "answered_by": str,
    "flags": str,
    "error": str,
}
"""Columns added: those of `ScoredDocument`, its flags with commas between, and why a text was refused. All null for a
row without a text."""

ROWS_AT_A_TIME = 32
"""Rows scored by one call, of which so many run at a time as there are workers."""

Row = tuple[int, str]
"""A row's number, from 0, and its text."""


@dataclass(frozen=True)
class Outcome:
    """What became of the rows of a table.

    Attributes:
        scored: rows with a score.
        gaps: rows without a text.
        refused: rows whose text the server refuses; column `error` says why.
        resumed: of all these, those that the journal had.
    """

    scored: int
    gaps: int
    refused: int
    resumed: int


class TableScoring:
    """The scoring of one table.

    Args:
        table: where the texts are.
        target: where the table with scores goes.
        prefix: of the names of columns added.
        job: what the scores depend on, such as the model's name; a journal of another job is not gone on with.

    Raises:
        InvalidRequestError: if the table has a column of such a name, or the journal is of another job.
        OSError: if the journal cannot be read.
    """

    def __init__(self, table: TableFile, target: Path, prefix: str, job: Mapping[str, Any]) -> None:
        taken = [prefix + name for name in TYPES if prefix + name in table.names]
        if taken:
            raise InvalidRequestError(f"the table has columns {', '.join(taken)}: pass another prefix")
        self._table, self._target, self._prefix = table, target, prefix
        self._head = json.dumps(dict(job), sort_keys=True)
        self.journal = target.with_name(target.name + ".part")
        self._done: dict[int, Cells] = {}
        self._journal_ends_at = self._read_journal() if self.journal.exists() else 0
        self.resumed = len(self._done)

    def run(
        self, scorer: Scorer, bert_weight: float | None, workers: int, on_progress: Callable[[int], None]
    ) -> Outcome:
        """Score every row that the journal does not have, and write the table.

        Raises:
            ReadabilityError: as `Scorer.score` does; what was scored until then is in the journal.
            OSError: if a file cannot be written.
        """

        def score(rows: Sequence[Row]) -> list[tuple[int, Cells]]:
            return score_rows(scorer, rows, bert_weight)

        with self._open_journal() as journal:
            on_progress(self.resumed)
            for scored in in_order(score, self._chunks(), workers):
                for row, cells in scored:
                    self._done[row] = cells
                    journal.write(json.dumps([row, cells]) + "\n")
                journal.flush()
                on_progress(len(scored))
        self._write()
        self.journal.unlink()
        every = self._done.values()
        refused, gaps = sum("error" in cells for cells in every), sum(not cells for cells in every)
        return Outcome(len(every) - refused - gaps, gaps, refused, self.resumed)

    def _chunks(self) -> Iterator[list[Row]]:
        left = ((row, text or "") for row, text in enumerate(self._table.texts()) if row not in self._done)
        while chunk := list(islice(left, ROWS_AT_A_TIME)):
            yield chunk

    def _write(self) -> None:
        whole = self._target.with_name(self._target.name + ".whole")
        types = {self._prefix + name: kind for name, kind in TYPES.items()}
        rows = (
            {self._prefix + name: value for name, value in self._done[row].items()} for row in range(self._table.n_rows)
        )
        self._table.write(whole, types, rows)
        whole.replace(self._target)

    def _open_journal(self) -> TextIO:
        journal = self.journal.open("a", encoding="utf-8")
        os.truncate(journal.fileno(), self._journal_ends_at)
        if not self._journal_ends_at:
            journal.write(self._head + "\n")
        return journal

    def _read_journal(self) -> int:
        """Read what the journal has; where its last whole line ends, in bytes."""
        end = 0
        with self.journal.open("rb") as lines:
            for number, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break  # cut off while it was written
                if number == 0 and line.decode().strip() != self._head:
                    raise InvalidRequestError(
                        f"{self.journal} is of another job, or its table has changed: delete it, or pass another target"
                    )
                if number:
                    row, cells = json.loads(line)
                    self._done[row] = cells
                end += len(line)
        return end


def score_rows(scorer: Scorer, rows: Sequence[Row], bert_weight: float | None) -> list[tuple[int, Cells]]:
    """Cells of rows in their order: none for a text that is blank, `error` for one that the server refuses."""
    left = [(row, text) for row, text in rows if text.strip()]
    documents, refused = score_accepted(scorer, [(str(row), text) for row, text in left], bert_weight)
    found: dict[int, Cells] = {row: {} for row, _ in rows}
    found |= {left[index][0]: {"error": reason} for index, reason in refused.items()}
    found |= {int(document.name): _cells(document) for document in documents}
    return list(found.items())


def _cells(document: ScoredDocument) -> Cells:
    flags = None if document.flags is None else ",".join(document.flags)
    answered_by = " ".join(document.answered_by)
    if document.is_refused:
        return {"answered_by": answered_by, "flags": flags, "error": f"refused: {flags}"}
    low, high = document.interval or (None, None)
    return {
        "score": document.score,
        "percentile": document.percentile,
        "low": low,
        "high": high,
        "level": document.level,
        "degraded": any(passage.degraded for passage in document.passages),
        "answered_by": answered_by,
        "flags": flags,
    }
