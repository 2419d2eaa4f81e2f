"""What the engine costs `readability bulk`: its rows a second beside the pipeline without it, and its memory."""

import json
import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy import stats

from readability_triton.bench.memory import memory_of
from readability_triton.bench.timing import Samples

SAMPLE_S = 5.0
"""Between readings of memory: one a second took 6 % of a core from what is measured."""

TINY: Mapping[str, int] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
"""An encoder that costs next to nothing, so that what is measured is the rest."""


class BulkFailedError(RuntimeError):
    """`readability bulk` ended without all scores."""


@dataclass(frozen=True)
class Work:
    """What every arm does.

    Attributes:
        repository: the model repository, built.
        corpus: JSON lines, a text each.
        n_rows: of the corpus.
        rows_per_part: rows that are scored as one batch.
    """

    repository: Path
    corpus: Path
    n_rows: int
    rows_per_part: int


@dataclass
class Memory:
    """Readings of a run's memory: of all its processes together, shared pages counted once.

    Attributes:
        rows: finished at each reading.
        n_bytes: proportional set sizes, summed over the processes.
    """

    rows: list[int] = field(default_factory=list)
    n_bytes: list[int] = field(default_factory=list)

    def growth(self) -> tuple[float, float, float] | None:
        """Bytes a row after the first fifth of the rows, Theil-Sen slope and 95 % interval; None for few readings."""
        rows, n_bytes = np.array(self.rows), np.array(self.n_bytes)
        steady = (rows >= rows.max(initial=0) / 5) & (rows > 0)
        if np.unique(rows[steady]).size < 10:
            return None
        slope, _, low, high = stats.theilslopes(n_bytes[steady], rows[steady])
        return float(slope), float(low), float(high)


def write_corpus(file: Path, passages: Sequence[str], n_rows: int, n_words: int) -> None:
    """Write JSON lines with pieces of the passages, of half to one and a half times `n_words` words."""
    words, rng = " ".join(passages).split(), random.Random(0)
    with file.open("w", encoding="utf-8") as lines:
        for _ in range(n_rows):
            length = rng.randint(max(1, n_words // 2), n_words + n_words // 2)
            start = rng.randrange(max(1, len(words) - length))
            lines.write(json.dumps({"text": " ".join(words[start : start + length])}) + "\n")


def run_in_turn(
    arms: Mapping[str, Callable[[], tuple[float, Memory]]], rounds: int, on_progress: Callable[[int], None]
) -> tuple[dict[str, Samples], dict[str, list[Memory]]]:
    """Run each arm once a round, in random order; gives rates in rows a second, and memory."""
    rng, samples = random.Random(0), {name: Samples() for name in arms}
    memory: dict[str, list[Memory]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name in rng.sample(list(arms), len(arms)):
            rate, read = arms[name]()
            samples[name].rates.append(rate)
            memory[name].append(read)
            on_progress(1)
    return samples, memory


def run_pipeline(work: Work, n_processes: int) -> tuple[float, Memory]:
    """Score the corpus by the pipeline itself, in processes of one thread that share nothing and use no engine.

    Returns:
        Rows a second, once the models are loaded, and no readings of memory.
    """
    context = multiprocessing.get_context("spawn")
    barrier, spent = context.Barrier(n_processes), context.SimpleQueue()
    processes = [
        context.Process(target=_score_share, args=(work, number, n_processes, barrier, spent))
        for number in range(n_processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise BulkFailedError(f"a process of the pipeline ended with exit code {process.exitcode}")
    starts, ends = zip(*(spent.get() for _ in processes), strict=True)
    return work.n_rows / (max(ends) - min(starts)), Memory()


def _score_share(work: Work, number: int, n_processes: int, barrier: Barrier, spent: Any) -> None:
    import torch

    from readability_triton.stages.pipeline import InProcessPipeline

    torch.set_num_threads(1)
    pipeline = InProcessPipeline(work.repository)
    with work.corpus.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    mine = list(islice(_batches(texts, work.rows_per_part), number, None, n_processes))
    barrier.wait()
    start = time.monotonic()
    for batch in mine:
        pipeline.score(batch, np.ones((len(batch), 1), dtype=np.float32))
    spent.put((start, time.monotonic()))


def _batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[at : at + size] for at in range(0, len(texts), size))


def run_bulk(work: Work, actors: int) -> tuple[float, Memory]:
    """Score the corpus by the command `readability bulk`.

    Returns:
        The rows a second that it reports, and readings of its memory.

    Raises:
        BulkFailedError: if a row has no score.
    """
    command = [sys.executable, "-m", "readability_triton.cli.main", "bulk", str(work.corpus)]
    options = {"actors": actors, "rows-per-part": work.rows_per_part, "model-repository": work.repository}
    with TemporaryDirectory(prefix="readability-bulk-") as folder:
        output = Path(folder, "scores")
        command += [str(output), *(f"--{name}={value}" for name, value in options.items())]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        memory = Memory()
        while process.poll() is None:
            rows = work.rows_per_part * sum(1 for _ in output.glob("part-*"))
            if rows < work.n_rows:  # after that its processes end one by one
                memory.rows.append(rows)
                memory.n_bytes.append(memory_of(process.pid))
            try:
                process.wait(SAMPLE_S)
            except subprocess.TimeoutExpired:
                continue
        out, errors = process.communicate()
    if process.returncode:
        raise BulkFailedError(f"readability bulk ended with exit code {process.returncode}: {errors.strip()}")
    return float(dict(line.split("\t") for line in out.splitlines())["rows/s"]), memory
