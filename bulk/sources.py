"""What a job reads: files by format, in an order that every run of the job finds again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pyarrow import fs

from readability_triton.bulk.formats import COMPRESSED, SUFFIXES, Format
from readability_triton.bulk.storage import Location, files_below


@dataclass(frozen=True)
class Source:
    """Files that are read as one sequence of rows: a table, or as many texts as a part has.

    Attributes:
        style: of its files.
        paths: one file of a table, or a text each.
        n_bytes: of all its files.
        identity: changes when a file is another one: 12 hexadecimal digits of paths, sizes and times of change.
    """

    style: Format
    paths: tuple[str, ...]
    n_bytes: int
    identity: str

    @property
    def name(self) -> str:
        """The first file, for messages."""
        return self.paths[0]


def find_sources(location: Location, style: Format | None, rows_per_part: int) -> list[Source]:
    """What is at a location.

    Args:
        location: a file, or a folder whose files are all of one format.
        style: the format; by default what the files' names end in.
        rows_per_part: texts in a source, where each file is a text.

    Raises:
        FileNotFoundError: if there is nothing of a known format.
        ValueError: if there are files of several formats, and `style` does not say which to read.
    """
    files = files_below(location)
    by_style: dict[Format | None, list[fs.FileInfo]] = {}
    for file in files:
        by_style.setdefault(_format_of(file.base_name), []).append(file)
    known = [found for found in by_style if found is not None]
    if style is None and len(known) > 1:
        raise ValueError(f"{location.path} holds {', '.join(sorted(known))}: say which with --format")
    chosen = style or (known[0] if known else None)
    taken = files if len(files) == 1 and style else by_style.get(chosen, []) if chosen else []
    if not taken or chosen is None:
        raise FileNotFoundError(f"{location.path}: no {chosen or ', '.join(SUFFIXES)} file")
    step = rows_per_part if chosen == "text" else 1
    return [_source(chosen, taken[at : at + step]) for at in range(0, len(taken), step)]


def _format_of(name: str) -> Format | None:
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return next((style for suffix, style in SUFFIXES.items() if name.lower().endswith(suffix)), None)


def _source(style: Format, files: Sequence[fs.FileInfo]) -> Source:
    lines = "".join(f"{file.path}\0{file.size}\0{file.mtime_ns}\n" for file in files)
    identity = hashlib.sha256(lines.encode()).hexdigest()[:12]
    return Source(style, tuple(file.path for file in files), sum(file.size or 0 for file in files), identity)
