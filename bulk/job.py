"""Score a corpus on Ray Data: every row once, whatever stops the job on the way.

Ray Data has checkpoints of its own (`ray.data.checkpoint`, since 2.5x in the open-source package). They need a column
of ids that are unique, which texts in CSV files or folders do not have, and load the ids of all finished rows into
memory before a job goes on. Here the unit is a part: a file of the output, which is there, whole, or is not.
"""

import fcntl
import hashlib
import json
import logging
import os
import pickle
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from readability_triton.bulk import rows, storage
from readability_triton.bulk.formats import ROWS_PER_PART, Format
from readability_triton.bulk.parts import COLUMNS, Part, Tally, finished_parts
from readability_triton.bulk.rows import Columns
from readability_triton.bulk.scoring import PIPELINE
from readability_triton.bulk.sources import Source, find_sources
from readability_triton.bulk.storage import Location, locate
from readability_triton.bulk.worker import Models, PartWriter, Reader, as_arrow

MANIFEST = "_job.json"
SUCCESS = "_SUCCESS"
OBJECT_STORE_BYTES = 256 << 20
"""Shared memory of the engine on this machine: a dozen chunks in flight need less."""

TRIES = 5
"""How often a chunk is scored again whose process died: a text that kills it each time must not go on for ever."""


class JobError(Exception):
    """The job cannot start or go on; the message says what to do."""


class LostError(JobError):
    """A process or a machine went away, and the engine gave up on what it was doing."""


@dataclass(frozen=True)
class Job:
    """What to do.

    Attributes:
        source: path or URL of the input.
        output: path or URL of the folder for the parts.
        models: what scores.
        columns: which to read.
        style: format of the input; None for what file names end in.
        rows_per_part: rows of an output file.
        actors: processes that score; None for one for each `cores` of the cluster.
        cores: of an actor.
        gpus: of an actor, such as 1 or 0.5.
        address: of a Ray cluster; None for this machine.
    """

    source: str
    output: str
    models: Models
    columns: Columns = field(default_factory=lambda: Columns("text"))
    style: Format | None = None
    rows_per_part: int = ROWS_PER_PART
    actors: int | None = None
    cores: int = 1
    gpus: float = 0
    address: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a run of a job did.

    Attributes:
        before: what earlier runs had done.
        now: what this one did.
        seconds: from the start of the first chunk's scoring until the last part; engine and models start before.
        unreadable: files of which not all rows could be read.
    """

    before: Tally
    now: Tally
    seconds: float
    unreadable: tuple[str, ...]

    @property
    def total(self) -> Tally:
        """The output as it is."""
        return self.before + self.now


OnPart = Callable[[Part, int], None]
"""Called with each part and the process that wrote it."""

OnStart = Callable[[Tally, int], None]
"""Called with what earlier runs did and the bytes of the whole input."""


def _ignore(*_: object) -> None:
    pass


def run(job: Job, on_part: OnPart = _ignore, on_start: OnStart = _ignore) -> Summary:
    """Do what is left of a job.

    Args:
        job: what to do.
        on_part: called with each part when it is finished, and the process that wrote it.
        on_start: called once with what is done already and the bytes of the whole input.

    Raises:
        JobError: if the input or the output cannot be used, or the engine stops; what is finished stays.
        KeyboardInterrupt: after Ctrl-C; what is finished stays.
    """
    try:
        place, folder = locate(job.source), locate(job.output)
        sources = find_sources(place, job.style, job.rows_per_part)
        clash = set(job.columns.keep) & set(COLUMNS)
        if clash:
            raise JobError(
                f"the output has columns of its own named {', '.join(sorted(clash))}: rename those of the input"
            )
        if len(set(job.columns.keep)) < len(job.columns.keep):
            raise JobError("a column can be kept once")
        _check_first(place, sources, job.columns)
        folder.filesystem.create_dir(folder.path, recursive=True)
        with _sole_writer(folder):
            return _go_on(job, place, folder, sources, on_part, on_start)
    except (OSError, ValueError, ImportError) as error:
        raise JobError(str(error)) from error


def _check_first(place: Location, sources: Sequence[Source], columns: Columns) -> None:
    """Tell a wrong column's name from a broken file: the first file that can be read decides."""
    for source in sources[:3]:
        try:
            rows.check_columns(place.filesystem, source, columns)
        except OSError:
            continue
        except ValueError as error:
            if "column" in str(error):
                raise JobError(f"{source.name}: {error}; name others with --text-column and --keep") from error
            continue
        return


@contextmanager
def _sole_writer(folder: Location) -> Iterator[None]:
    """Refuse a second job that writes into the same folder of this machine."""
    if not folder.is_local:
        with nullcontext():
            yield
        return
    with Path(folder.path, "_lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JobError(f"another job writes into {folder.path}") from error
        yield


def _go_on(
    job: Job,
    place: Location,
    folder: Location,
    sources: Sequence[Source],
    on_part: OnPart,
    on_start: OnStart,
) -> Summary:
    _check_manifest(job, folder)
    storage.remove_unfinished(folder)
    parts = _usable(folder, sources)
    before = sum((part.tally for part in parts if part.is_whole), Tally())
    on_start(before, sum(source.n_bytes for source in sources))
    now, unreadable = Tally(), []
    started = ended = 0.0
    left, finished = _left(sources, parts)
    names = {source.identity: source.name for source in sources}
    while left:
        seen = set()
        try:
            for part, pid, spent in _execute(job, place, folder, left, finished):
                seen.add(part.name)
                ended = time.monotonic()
                started = started or ended - spent
                now += part.tally
                if not part.is_whole:
                    unreadable.append(names[part.source])
                on_part(part, pid)
            break
        except LostError:
            if not seen:
                raise
            # Parts that were written but not reported are on the disk: count them from there.
            parts = _usable(folder, sources)
            now = _difference(sum((part.tally for part in parts if part.is_whole), Tally()), before)
            left, finished = _left(sources, parts)
            unreadable.clear()
    summary = Summary(before, now, ended - started, tuple(sorted(unreadable)))
    _write_json(folder, SUCCESS, {"rows": summary.total.rows, "errors": dict(summary.total.errors)})
    return summary


def _difference(total: Tally, before: Tally) -> Tally:
    errors = Counter(total.errors)
    errors.subtract(before.errors)
    return Tally(
        total.rows - before.rows,
        total.tokens - before.tokens,
        total.n_bytes - before.n_bytes,
        {kind: rows for kind, rows in errors.items() if rows},
    )


def _check_manifest(job: Job, folder: Location) -> None:
    """Write down what makes the results what they are, or compare it with what an earlier run wrote."""
    wanted = {
        "source": job.source if "://" in job.source else str(Path(job.source).absolute()),
        "text_column": job.columns.text,
        "keep": list(job.columns.keep),
        "rows_per_part": job.rows_per_part,
        "bert_weight": job.models.bert_weight,
        **({"scored_by": "servers"} if job.models.url else _digests(job.models.repository)),
    }
    path = f"{folder.path}/{MANIFEST}"
    if not folder.filesystem.get_file_info(path).is_file:
        if any(True for _ in finished_parts(folder)):
            raise JobError(f"{folder.path} has parts but no {MANIFEST}: name another folder")
        _write_json(folder, MANIFEST, wanted)
        return
    with folder.filesystem.open_input_stream(path) as file:
        found = json.loads(file.read())
    names = sorted(wanted.keys() | found.keys())
    other = [f"{n} was {found.get(n)!r}, is {wanted.get(n)!r}" for n in names if found.get(n) != wanted.get(n)]
    if other:
        raise JobError(
            f"{folder.path} holds another job's parts ({'; '.join(other)}): name another folder, or remove it"
        )


def _digests(repository: Path) -> dict[str, str]:
    """SHA-256 of the artefacts and of the pipeline's configuration: other models give other scores and intervals."""
    artefacts = sorted(path for path in repository.glob("*/1/*") if path.suffix in (".pt", ".tl", ".json"))
    digests = {}
    for path in (*artefacts, repository / PIPELINE / "config.pbtxt"):
        with path.open("rb") as file:
            digests[str(path.relative_to(repository))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _write_json(folder: Location, name: str, content: dict[str, Any]) -> None:
    storage.write(folder, name, lambda file: file.write(json.dumps(content, indent=1).encode() + b"\n"))


def _usable(folder: Location, sources: Sequence[Source]) -> list[Part]:
    """The parts of sources as they are now; those of files that are gone or changed are removed, others never."""
    known = {source.identity for source in sources}
    usable = []
    for part in finished_parts(folder):
        if part.source in known:
            usable.append(part)
        else:
            folder.filesystem.delete_file(f"{folder.path}/{part.name}")
    return usable


def _left(sources: Sequence[Source], parts: Sequence[Part]) -> tuple[list[Source], dict[str, frozenset[int]]]:
    """Sources that are not done, and for these the numbers of the chunks that are."""
    numbers: dict[str, set[int]] = {}
    lasts: dict[str, int] = {}
    for part in parts:
        if part.is_whole:
            numbers.setdefault(part.source, set()).add(part.number)
            if part.is_last:
                lasts[part.source] = part.number
    left = [each for each in sources if len(numbers.get(each.identity, ())) <= lasts.get(each.identity, 1 << 62)]
    return left, {each.identity: frozenset(numbers.get(each.identity, ())) for each in left}


def _execute(
    job: Job, place: Location, folder: Location, sources: Sequence[Source], finished: dict[str, frozenset[int]]
) -> Iterator[tuple[Part, int, float]]:
    """Parts as they are finished, each with the process that made it and the seconds that it took."""
    with _engine(job):
        actors = job.actors or max(1, int(ray.cluster_resources().get("CPU", 1)) // job.cores)
        reader = Reader(place, job.columns, job.rows_per_part, finished)
        data = ray.data.from_arrow([as_arrow([pickle.dumps(source)], "source") for source in sources])
        chunks = data.map_batches(reader, batch_size=1, num_cpus=0)
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")  # it is the way to max_task_retries
        done = chunks.map_batches(
            PartWriter,
            fn_constructor_args=(job.models, folder, job.columns.keep, job.cores),
            batch_size=1,
            num_cpus=job.cores,
            num_gpus=job.gpus or None,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
            max_task_retries=TRIES,
        )
        try:
            for row in done.iter_rows():
                yield pickle.loads(row["part"]), row["pid"], row["seconds"]  # noqa: S301 - made by this job
        except RayError as error:
            kind = JobError if isinstance(error, RayTaskError) else LostError
            raise kind(f"stopped: {_reason(error)}; the same command goes on from there") from error


@contextmanager
def _engine(job: Job) -> Iterator[None]:
    """Ray, started on this machine or joined; silent, and without its reports to its makers."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = {} if job.address else {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    ray.init(address=job.address or "local", log_to_driver=False, logging_level="ERROR", **local)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context.target_max_block_size = 1  # a chunk goes to an actor as soon as it is read
    try:
        yield
    finally:
        ray.shutdown()


def _reason(error: BaseException) -> str:
    """The first cause, as it was raised on the machine where it happened.

    A traceback names it first, before what the engine made of it and its advice.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.match(line)]
    return (raised or lines[-1:] or [type(error).__name__])[0]


_RAISED = re.compile(r"[\w.]+(Error|Exception): ")
"""The last line of a traceback."""
