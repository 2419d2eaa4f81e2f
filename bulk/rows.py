"""Read a source as chunks of rows. What is wrong with one row is noted beside it; the rows after it are read."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from readability_triton.bulk.sources import Source
from readability_triton.stages.excerpts import MOST_BYTES

UNREADABLE = "input cannot be read"
"""Error of the row that stands for all rows of a source from there on."""


class Row(NamedTuple):
    """A row of the input.

    Attributes:
        text: what to score; bytes may be anything.
        kept: values of the columns to keep.
        error: why there is no text, or empty.
        file: its file.
        number: which row of the file, from 0.
        share: of the source's bytes, those read with this row, in [0, 1]; about.
    """

    text: bytes | None
    kept: tuple[Any, ...]
    error: str
    file: str
    number: int
    share: float = 1.0


@dataclass(frozen=True)
class Chunk:
    """Rows that become one part.

    Attributes:
        number: of the source's chunks, from 0.
        rows: in order.
        is_last: whether the source has no more.
        is_whole: whether all rows that should be there could be read.
        n_bytes: of the source, about.
        types: of the kept columns.
    """

    number: int
    rows: list[Row]
    is_last: bool
    is_whole: bool
    n_bytes: int = 0
    types: tuple[pa.DataType, ...] = field(default=())


@dataclass(frozen=True)
class Columns:
    """Which columns to read.

    Attributes:
        text: has the texts.
        keep: go to the output too: strings, but from Parquet, whose types stay.
    """

    text: str
    keep: tuple[str, ...] = ()


def read_chunks(
    filesystem: fs.FileSystem, source: Source, columns: Columns, size: int, finished: frozenset[int]
) -> Iterator[Chunk]:
    """Read a source in chunks of `size` rows.

    Args:
        filesystem: has the source.
        source: what to read.
        columns: which columns.
        size: rows in a chunk; the last may have fewer.
        finished: numbers of chunks to leave out.

    Yields:
        Chunks in order, at least one; of a source that cannot be read to its end the last one has a row that says why.
    """
    rows = _Ahead(_READERS[source.style](filesystem, source, columns))
    number, is_last, share = 0, False, 0.0
    while not is_last:
        taken = list(islice(rows, size))
        is_last = rows.is_at_end()
        whole = rows.failure is None
        reached = 1.0 if is_last else max(share, taken[-1].share)
        if not whole:
            at = taken[-1].number + 1 if taken else number * size
            taken.append(Row(None, (None,) * len(columns.keep), f"{UNREADABLE}: {rows.failure}", source.name, at))
        if number not in finished:
            n_bytes = round(source.n_bytes * (reached - share))
            yield Chunk(number, taken, is_last, whole, n_bytes, _types(filesystem, source, columns))
        number, share = number + 1, reached


class _Ahead(Iterator[Row]):
    """Rows, one read ahead, so that their end is known; an exception ends them and is kept."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = iter(rows)
        self._next: Row | None = None
        self.failure: str | None = None
        self._advance_one()

    def __next__(self) -> Row:
        row = self._next
        if row is None:
            raise StopIteration
        self._advance_one()
        return row

    def is_at_end(self) -> bool:
        return self._next is None

    def _advance_one(self) -> None:
        try:
            self._next = next(self._rows, None)
        except Exception as error:  # whatever a reader raises on a broken file
            self._next, self.failure = None, str(error).strip().partition("\n")[0] or type(error).__name__


def _types(filesystem: fs.FileSystem, source: Source, columns: Columns) -> tuple[pa.DataType, ...]:
    if source.style == "parquet" and columns.keep:
        try:
            schema = pq.read_schema(source.name, filesystem=filesystem)
            return tuple(schema.field(name).type for name in columns.keep)
        except (OSError, KeyError, pa.ArrowException):
            pass  # the row that says so needs no types
    return (pa.string(),) * len(columns.keep)


def _read_parquet(filesystem: fs.FileSystem, source: Source, columns: Columns) -> Iterator[Row]:
    with pq.ParquetFile(source.name, filesystem=filesystem) as file:
        _check_columns(file.schema_arrow.names, columns)
        wanted = list(dict.fromkeys((columns.text, *columns.keep)))
        number = 0
        for batch in file.iter_batches(batch_size=256, columns=wanted):
            texts = batch.column(columns.text).to_pylist()
            kept = [batch.column(name).to_pylist() for name in columns.keep]
            for text, *values in zip(texts, *kept, strict=True):
                yield _row(text, tuple(values), source.name, number, number / file.metadata.num_rows)
                number += 1


def _read_csv(filesystem: fs.FileSystem, source: Source, columns: Columns) -> Iterator[Row]:
    with filesystem.open_input_stream(source.name) as stream:
        # Bytes that are not UTF-8 come through as they are, so that one text with such bytes is one bad row.
        counted = _Counted(stream, source.n_bytes)
        lines = io.TextIOWrapper(io.BufferedReader(counted), "utf-8", errors="surrogateescape", newline="")
        table = csv.reader(lines)
        csv.field_size_limit(16 * MOST_BYTES)
        header = [name.removeprefix("\ufeff") for name in next(table, [])]
        _check_columns(header, columns)
        text_at, keep_at = header.index(columns.text), [header.index(name) for name in columns.keep]
        for number, values in enumerate(row for row in table if row):
            if len(values) != len(header):
                reason = f"row has another number of fields than the header: {len(values)}, not {len(header)}"
                yield Row(None, (None,) * len(keep_at), reason, source.name, number, counted.share)
            else:
                kept, share = tuple(_clean(values[at]) for at in keep_at), counted.share
                yield _row(values[text_at], kept, source.name, number, share)


def _read_jsonl(filesystem: fs.FileSystem, source: Source, columns: Columns) -> Iterator[Row]:
    with filesystem.open_input_stream(source.name) as stream:
        counted = _Counted(stream, source.n_bytes)
        lines = io.BufferedReader(counted)
        for number, line in enumerate(line for line in lines if line.strip()):
            yield _of_json(line, columns, source.name, number)._replace(share=counted.share)


class _Counted(io.RawIOBase):
    """A stream that says how far it is."""

    def __init__(self, stream: pa.NativeFile, n_bytes: int) -> None:
        self._stream, self._n_bytes, self._read = stream, max(n_bytes, 1), 0

    @property
    def share(self) -> float:
        """Of `n_bytes`, in [0, 1]. Of a compressed file the size is not known: it comes to 1 before the end."""
        return min(self._read / self._n_bytes, 1.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._stream.readinto(buffer)
        self._read += read
        return read


def _of_json(line: bytes, columns: Columns, file: str, number: int) -> Row:
    nothing = (None,) * len(columns.keep)
    try:
        fields = json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        return Row(None, nothing, f"row is not JSON: {error}", file, number)
    if not isinstance(fields, dict):
        return Row(None, nothing, "row is not a JSON object", file, number)
    kept = tuple(_as_string(fields.get(name)) for name in columns.keep)
    return _row(fields.get(columns.text), kept, file, number)


def _read_texts(filesystem: fs.FileSystem, source: Source, _: Columns) -> Iterator[Row]:
    for path in source.paths:
        try:
            with filesystem.open_input_stream(path) as stream:
                text = stream.read(MOST_BYTES + 1)
        except OSError as error:
            yield Row(None, (), f"file cannot be read: {error}", path, 0)
        else:
            yield _row(text, (), path, 0)


_READERS = {"parquet": _read_parquet, "csv": _read_csv, "jsonl": _read_jsonl, "text": _read_texts}


def check_columns(filesystem: fs.FileSystem, source: Source, columns: Columns) -> None:
    """Look for the columns in a source, where its format names them at the start.

    Raises:
        ValueError: if one is not there, or texts in files of their own should have columns to keep.
    """
    if source.style == "text" and columns.keep:
        raise ValueError("files of text have no columns to keep; column `file` of the output names the file")
    if source.style == "parquet":
        _check_columns(pq.read_schema(source.name, filesystem=filesystem).names, columns)
    if source.style == "csv":
        with filesystem.open_input_stream(source.name) as stream:
            lines = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="")
            _check_columns([name.removeprefix("\ufeff") for name in next(csv.reader(lines), [])], columns)


def _check_columns(names: Sequence[str], columns: Columns) -> None:
    for name in (columns.text, *columns.keep):
        if name not in names:
            raise ValueError(f"no column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")


def _row(text: Any, kept: tuple[Any, ...], file: str, number: int, share: float = 1.0) -> Row:
    if isinstance(text, str):
        return Row(_as_bytes(text), kept, "", file, number, share)
    if isinstance(text, bytes):
        return Row(text, kept, "", file, number, share)
    reason = "text is missing" if text is None else f"text is not a string: {type(text).__name__}"
    return Row(None, kept, reason, file, number, share)


def _as_bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")  # half a surrogate pair of JSON: bytes that are not UTF-8


def _clean(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _as_string(value: Any) -> str | None:
    if value is None:
        return None
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else json.dumps(value)
