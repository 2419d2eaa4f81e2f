"""A large table against two servers, of which one is killed twice: is every row there once, in order, and right?

    python -m readability_triton.bench.two_servers --rows 100000

The servers have a small encoder of random weights in their slot, so that a hundred thousand rows take minutes. What is
tested is `readability score --column`, whose requests are in flight when the server dies.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from readability_triton.bench.made_up import sentence
from readability_triton.serving.repository import copy_repository, default_repository
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.random_encoder import put_random_encoder

ENCODER = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
KILLED_AT = (0.1, 0.6)
"""Shares of the rows."""

N_TEXTS = 1000
WEIGHT = 0.5
TOLERANCE = 1e-5
POLL_S = 0.05


@dataclass(frozen=True)
class Found:
    """What became of a table.

    Attributes:
        rows: in the table that came back.
        in_order: whether they are those that were sent, each once, in their order.
        wrong: rows with another score than computed in process, or with none.
        seconds: that the command took.
        killed_after: rows scored at each death.
        downtimes: seconds from each death until the server was ready again.
    """

    rows: int
    in_order: bool
    wrong: int
    seconds: float
    killed_after: tuple[int, ...]
    downtimes: tuple[float, ...]


def made_up_texts() -> list[str]:
    """Different short sentences."""
    random = np.random.default_rng(0)
    return [f"{number}: {sentence(random, 5 + number % 8)}" for number in range(N_TEXTS)]


def score_with_deaths(n_rows: int, folder: Path) -> Found:
    """Score a table of `n_rows` while the first of two servers is killed at `KILLED_AT`, and read what came back.

    Raises:
        subprocess.CalledProcessError: if the command fails.
        ServingError: if a server does not start.
    """
    repository = copy_repository(default_repository(), folder / "model_repository")
    put_random_encoder(repository, "fp32", ENCODER)
    texts, table, output = made_up_texts(), folder / "table.csv", folder / "scored.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("row", "text"), *((row, texts[row % N_TEXTS]) for row in range(n_rows))])
    with ExitStack() as stack:
        mortal, other = (stack.enter_context(running(Options(repository))) for _ in range(2))
        started = time.monotonic()
        process = subprocess.Popen(_command(table, output, (mortal, other)))
        stack.callback(process.kill)
        deaths = list(_deaths(process, mortal, n_rows, output.with_name(f"{output.name}.part")))
        if code := process.wait():
            raise subprocess.CalledProcessError(code, process.args)
        seconds = time.monotonic() - started
    expected = InProcessPipeline(repository).score(texts, np.full((N_TEXTS, 1), WEIGHT, np.float32))[:, 0]
    rows, in_order, wrong = _judge(output, n_rows, texts, expected)
    return Found(rows, in_order, wrong, seconds, tuple(at for at, _ in deaths), tuple(down for _, down in deaths))


def _command(table: Path, output: Path, servers: Sequence[TritonServer]) -> list[str]:
    urls = [argument for server in servers for argument in ("--url", server.grpc_url)]
    command = [sys.executable, "-m", "readability_triton.cli.main", "score", *urls, "--bert-weight", str(WEIGHT)]
    return [*command, "--column", "text", "--output", str(output), str(table)]


def _deaths(
    process: subprocess.Popen[bytes], mortal: TritonServer, n_rows: int, journal: Path
) -> Iterator[tuple[int, float]]:
    """Kill a server and start it again, as often as wanted; rows scored until then, and seconds that it was away."""
    for share in KILLED_AT:
        while (scored := _lines(journal)) < share * n_rows:
            if process.poll() is not None:
                return
            time.sleep(POLL_S)
        died = time.monotonic()
        mortal.restart()
        yield scored, time.monotonic() - died


def _lines(journal: Path) -> int:
    """Rows in a journal, which has a head."""
    return max(journal.read_bytes().count(b"\n") - 1, 0) if journal.exists() else 0


def _judge(output: Path, n_rows: int, texts: Sequence[str], expected: np.ndarray) -> tuple[int, bool, int]:
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    sent = [(str(row), texts[row % N_TEXTS]) for row in range(n_rows)]
    in_order = [(row["row"], row["text"]) for row in rows] == sent
    scores = np.array([float(row["score"] or "nan") for row in rows])
    differences = np.abs(scores - np.resize(expected, len(scores)))
    return len(rows), in_order, int(np.sum(~(differences <= TOLERANCE)))


def main() -> None:
    """Print what was found; exit code 1 if a row is missing, out of order or wrong, or a death did not happen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    n_rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="readability-two-servers-") as folder:
        found = score_with_deaths(n_rows, Path(folder))
    print(f"{found.rows} of {n_rows} rows in {found.seconds:.1f} s, {found.rows / found.seconds:.0f} rows/s")
    print(f"in order, each once: {found.in_order}; wrong or without a score: {found.wrong}")
    for at, away in zip(found.killed_after, found.downtimes, strict=True):
        print(f"killed after {at} rows, ready again after {away:.1f} s")
    if not found.in_order or found.wrong or len(found.killed_after) < len(KILLED_AT):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
