"""What runs on the machines of a cluster: read chunks, score them, write parts."""

import os
import pickle
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from readability_triton.bulk.parts import Part, write_part
from readability_triton.bulk.rows import Chunk, Columns, read_chunks
from readability_triton.bulk.scoring import InProcessScorer, Scored, ServedScorer, TextScorer, score_each
from readability_triton.bulk.sources import Source
from readability_triton.bulk.storage import Location
from readability_triton.client.access import Access
from readability_triton.stages.errors import InvalidRowError
from readability_triton.stages.excerpts import decode


@dataclass(frozen=True)
class Reader:
    """Reads sources as chunks, one at a time.

    Attributes:
        place: where the sources are.
        columns: which to read.
        size: rows of a chunk.
        finished: for sources of which some chunks are done, the numbers of these.
    """

    place: Location
    columns: Columns
    size: int
    finished: dict[str, frozenset[int]]

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[Any]]]:
        """Chunks of pickled sources, pickled: a row of the engine is a chunk, which it never splits."""
        for pickled in batch["source"]:
            source = pickle.loads(pickled)  # noqa: S301 - made by this job
            done = self.finished.get(source.identity, frozenset())
            for chunk in read_chunks(self.place.filesystem, source, self.columns, self.size, done):
                yield {"chunk": [pickle.dumps((source, chunk))]}


@dataclass(frozen=True)
class Models:
    """What scores.

    Attributes:
        repository: the model repository, at this path on every machine.
        url: servers to use instead, of which each actor takes one; empty for scoring in process.
        bert_weight: share of the encoder; None for the fitted one.
        device: where the encoder runs in process.
        access: how to get in at the servers; its files are at these paths on every machine.
    """

    repository: Path
    url: tuple[str, ...] = ()
    bert_weight: float | None = None
    device: str = "cpu"
    access: Access = field(default_factory=Access)

    def load(self) -> TextScorer:
        """Ready to score."""
        if self.url:
            return ServedScorer(self.url[os.getpid() % len(self.url)], self.bert_weight, access=self.access)
        return InProcessScorer(self.repository, self.bert_weight, self.device)


class PartWriter:
    """An actor: holds the models, and turns chunks into parts.

    Args:
        models: what scores.
        folder: the output.
        keep: columns that are kept.
        cores: that this actor computes on.
    """

    def __init__(self, models: Models, folder: Location, keep: Sequence[str], cores: int) -> None:
        if not models.url:
            import torch

            torch.set_num_threads(cores)
        self._folder, self._keep = folder, keep
        self._scorer = models.load()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Write the part of a chunk, pickled; gives the part, pickled, the process that wrote it, and its seconds."""
        started = time.monotonic()
        (chunk,) = batch["chunk"]
        part = self._finish(*pickle.loads(chunk))  # noqa: S301 - made by this job
        return {"part": [pickle.dumps(part)], "pid": [os.getpid()], "seconds": [time.monotonic() - started]}

    def _finish(self, source: Source, chunk: Chunk) -> Part:
        return write_part(self._folder, source, chunk, self._keep, score_chunk(self._scorer, chunk))


def score_chunk(scorer: TextScorer, chunk: Chunk) -> Scored:
    """Score the rows of a chunk that have a valid text; the others keep the reason why they have none."""
    failed: dict[int, Scored] = {}
    texts: dict[int, str] = {}
    for at, row in enumerate(chunk.rows):
        if row.text is None:
            failed[at] = Scored.failed(row.error)
            continue
        try:
            (texts[at],) = decode([row.text])
        except InvalidRowError as error:
            failed[at] = Scored.failed(error.reason)
    pieces = [score_each(scorer, list(texts.values()))] if texts else []
    order = [*texts, *failed]
    return Scored.joined([*pieces, *failed.values()]).take(sorted(range(len(order)), key=order.__getitem__))


def as_arrow(values: Sequence[bytes], name: str) -> pa.Table:
    """A column of bytes, as the engine takes it."""
    return pa.table({name: pa.array(values, pa.binary())})
