"""What a corpus may be, by the names of its files."""

from collections.abc import Sequence
from typing import Literal, get_args

Format = Literal["parquet", "csv", "jsonl", "text"]
FORMATS: Sequence[Format] = get_args(Format)

SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
}
COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")

ROWS_PER_PART = 2048
"""Of an output file: some twenty seconds of a core's work, which is what a killed process loses."""
