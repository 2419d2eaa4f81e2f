"""Tables in files, CSV and Parquet: one column of texts out of them, and the same table with columns added."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.file_text import decode

Cells = Mapping[str, Any]
"""What is added to a row, by column."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}
INSTALL = "run `pip install 'readability-triton[documents]'`"

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a cell may hold a book


class TableFile(Protocol):
    """A table with a column of texts."""

    names: list[str]
    n_rows: int

    def texts(self) -> Iterator[str | None]:
        """The column, row by row; None where the cell is null."""

    def write(self, target: Path, types: Mapping[str, type], added: Iterable[Cells]) -> None:
        """The same table with columns of these types added; `added` has each row's cells, None for null."""


def open_table(path: Path, column: str, encoding: str | None = None) -> TableFile:
    """Open a table by the ending of its name.

    Raises:
        InvalidRequestError: if it is no table, has no such column, or needs a library that is not installed.
        OSError: if it cannot be read.
    """
    if path.suffix.lower() == ".parquet":
        return ParquetTable(path, column)
    return CsvTable(path, column, encoding)


def is_table(path: Path) -> bool:
    """Whether a file's name ends as tables do."""
    return path.suffix.lower() in (*SEPARATORS, ".parquet")


class CsvTable:
    """A CSV file with a header; `;` separates where the header has that and no comma. Written as UTF-8."""

    def __init__(self, path: Path, column: str, encoding: str | None) -> None:
        self._path = path
        self._text = decode(str(path), path.read_bytes(), encoding)
        header = self._text.partition("\n")[0]
        self._separator = SEPARATORS.get(path.suffix.lower(), ",")
        if self._separator == "," and ";" in header and "," not in header:
            self._separator = ";"
        self.names: list[str] = next(self._reader(), [])
        self._at = _place(path, self.names, column)
        self.n_rows = sum(1 for _ in self._rows())

    def texts(self) -> Iterator[str | None]:
        """The column, row by row."""
        return (row[self._at] for row in self._rows())

    def write(self, target: Path, types: Mapping[str, type], added: Iterable[Cells]) -> None:
        """The same table with columns added; null is an empty cell."""
        with target.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, delimiter=self._separator, lineterminator="\n")
            writer.writerow([*self.names, *types])
            for row, cells in zip(self._rows(), added, strict=True):
                writer.writerow([*row, *("" if cells.get(name) is None else _cell(cells[name]) for name in types)])

    def _reader(self) -> Any:
        return csv.reader(io.StringIO(self._text, newline=""), delimiter=self._separator)

    def _rows(self) -> Iterator[list[str]]:
        reader = self._reader()
        next(reader, None)
        for row in reader:
            if not row:
                continue  # an empty line
            if len(row) != len(self.names):
                raise InvalidRequestError(
                    f"{self._path}, line {reader.line_num}: {len(row)} cells, the header has {len(self.names)}"
                )
            yield row


class ParquetTable:
    """A Parquet file; its schema stays, columns are added at the end."""

    def __init__(self, path: Path, column: str) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise InvalidRequestError(f"{path} needs pyarrow: {INSTALL}") from error
        self._arrow, self._parquet = pyarrow, pyarrow.parquet
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except pyarrow.ArrowInvalid as error:
            raise InvalidRequestError(f"{path} is not Parquet: {error}") from error
        self._schema = self._file.schema_arrow
        self.names: list[str] = self._schema.names
        _place(path, self.names, column)
        self._column = column
        found = self._schema.field(column).type
        value_type = found.value_type if pyarrow.types.is_dictionary(found) else found
        if value_type not in (pyarrow.string(), pyarrow.large_string(), pyarrow.null()):
            raise InvalidRequestError(f"{path}: column {column} is {found}, not text")
        self.n_rows = self._file.metadata.num_rows

    def texts(self) -> Iterator[str | None]:
        """The column, row by row."""
        for batch in self._file.iter_batches(columns=[self._column]):
            yield from batch.column(0).to_pylist()

    def write(self, target: Path, types: Mapping[str, type], added: Iterable[Cells]) -> None:
        """The same table with columns added."""
        arrow = self._arrow
        kinds = {float: arrow.float64(), str: arrow.string(), bool: arrow.bool_()}
        schema = self._schema
        for name, kind in types.items():
            schema = schema.append(arrow.field(name, kinds[kind]))
        rest = iter(added)
        with self._parquet.ParquetWriter(target, schema) as writer:
            for batch in self._file.iter_batches():
                cells = list(islice(rest, batch.num_rows))
                columns = [arrow.array([row.get(name) for row in cells], kinds[kind]) for name, kind in types.items()]
                writer.write_batch(arrow.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema))


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _place(path: Path, names: Sequence[str], column: str) -> int:
    if list(names).count(column) != 1:
        found = "twice" if column in names else "not there"
        raise InvalidRequestError(f"{path}: column {column!r} is {found}; it has {', '.join(map(repr, names))}")
    return list(names).index(column)
