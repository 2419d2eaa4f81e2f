"""The output: a Parquet file for each chunk of a source. A file that is there is finished."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from readability_triton.bulk.rows import Chunk
from readability_triton.bulk.scoring import Scored
from readability_triton.bulk.sources import Source
from readability_triton.bulk.storage import Location, write

FOOTER = b"readability"
"""Key of what a part says of itself, in its schema's metadata."""

COLUMNS: Mapping[str, pa.DataType] = {
    "file": pa.string(),
    "row": pa.int64(),
    "score": pa.float32(),
    "bert": pa.float32(),
    "cuml": pa.float32(),
    "low": pa.float32(),
    "high": pa.float32(),
    "level": pa.string(),
    "route": pa.string(),
    "degraded": pa.bool_(),
    "error": pa.string(),
}
"""Columns of the output, before those that are kept from the input; null where a row has no such value."""

_NAME = re.compile(r"part-(?P<source>[0-9a-f]{12})-(?P<number>\d{6})\.parquet")


@dataclass(frozen=True)
class Tally:
    """What was done.

    Attributes:
        rows: in the output.
        tokens: that the encoder read; 0 where servers scored.
        n_bytes: of the input, about.
        errors: rows without a score, by kind.
    """

    rows: int = 0
    tokens: int = 0
    n_bytes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        errors = Counter(self.errors) + Counter(other.errors)
        return Tally(
            self.rows + other.rows,
            self.tokens + other.tokens,
            self.n_bytes + other.n_bytes,
            dict(sorted(errors.items())),
        )


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        source: identity of its source.
        number: of the source's chunks.
        is_last: whether the source has no more.
        is_whole: whether all of its rows could be read; if not, the next run of the job reads them again.
        tally: its share of the job.
    """

    source: str
    number: int
    is_last: bool
    is_whole: bool
    tally: Tally

    @property
    def name(self) -> str:
        """The file's name."""
        return f"part-{self.source}-{self.number:06d}.parquet"


def write_part(folder: Location, source: Source, chunk: Chunk, keep: Sequence[str], scored: Scored) -> Part:
    """Write a part, whole or not at all.

    Args:
        folder: the output.
        source: what the chunk is from.
        chunk: N rows.
        keep: names of the columns that are kept.
        scored: of the N rows, in their order.

    Raises:
        OSError: if it cannot be written.
    """
    errors = Counter(kind(error) for error in scored.errors if error)
    tally = Tally(len(chunk.rows), int(scored.tokens.sum()), chunk.n_bytes, dict(errors))
    part = Part(source.identity, chunk.number, chunk.is_last, chunk.is_whole, tally)
    table = _table(chunk, keep, scored).replace_schema_metadata({FOOTER: json.dumps(asdict(part))})
    write(folder, part.name, lambda file: pq.write_table(table, file, compression="zstd"))
    return part


def finished_parts(folder: Location) -> Iterator[Part]:
    """The parts that are there.

    Raises:
        ValueError: if a file is named like a part and is none.
    """
    selector = fs.FileSelector(folder.path, allow_not_found=True)
    paths = [info.path for info in folder.filesystem.get_file_info(selector) if _NAME.fullmatch(info.base_name)]
    with ThreadPoolExecutor(16) as threads:
        yield from threads.map(lambda path: _read_footer(folder.filesystem, path), sorted(paths))


def _read_footer(filesystem: fs.FileSystem, path: str) -> Part:
    try:
        fields = json.loads((pq.read_schema(path, filesystem=filesystem).metadata or {})[FOOTER])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{path} is not a part that `readability bulk` wrote: {error!r}; remove it") from error
    return Part(**(fields | {"tally": Tally(**fields["tally"])}))


def kind(error: str) -> str:
    """What errors of one kind have in common: the words before a colon, figures left out."""
    return re.sub(r"\d+", "N", error.partition(":")[0])


def _table(chunk: Chunk, keep: Sequence[str], scored: Scored) -> pa.Table:
    ok = np.array([not error for error in scored.errors], dtype=np.bool_)
    columns: dict[str, Sequence[object]] = {
        "file": [row.file for row in chunk.rows],
        "row": [row.number for row in chunk.rows],
        "score": _numbers(scored.values),
        "bert": _numbers(scored.bert),
        "cuml": _numbers(scored.cuml),
        "low": _numbers(scored.interval[:, 0]),
        "high": _numbers(scored.interval[:, 1]),
        "level": scored.level,
        "route": [route or None for route in scored.route],
        "degraded": [bool(value) if fine else None for value, fine in zip(scored.degraded, ok, strict=True)],
        "error": [error or None for error in scored.errors],
    }
    arrays = [pa.array(columns[name], dtype) for name, dtype in COLUMNS.items()]
    arrays += [pa.array([row.kept[at] for row in chunk.rows], dtype) for at, dtype in enumerate(chunk.types)]
    return pa.table(arrays, names=[*COLUMNS, *keep])


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
