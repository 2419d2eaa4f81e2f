"""How much of what the pipeline serves `readability score FOLDER` gets: files a second, beside `readability compare`.

    python -m readability_triton.bench.folder

Both ask one server for the same texts, a file or a request each, in turns. `score` counts from its start to its end, so
with Python's start and the reading of files; `compare` has eight requests in flight, `score` as many as by default.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from readability_triton.bench.made_up import sentence
from readability_triton.serving.server import Options, running

N_FILES = 1000
ROUNDS = 3
IN_FLIGHT = 8
SECONDS = 20
"""That `compare` measures in a round, both arms together."""

MODEL = "bls_pipeline"


def made_up_texts(n_texts: int) -> list[str]:
    """Texts of 40 to 160 words, in sentences of ten."""
    random = np.random.default_rng(0)
    return [" ".join(sentence(random, 10) for _ in range(4 + number % 13)) for number in range(n_texts)]


def scored_per_s(url: str, folder: Path, n_files: int) -> float:
    """Files a second of `readability score`.

    Raises:
        subprocess.CalledProcessError: if it fails.
        ValueError: if it scores another number of files.
    """
    start = time.perf_counter()
    result = _run("score", "--url", url, "--format", "json", str(folder))
    seconds = time.perf_counter() - start
    n_scored = len(json.loads(result.stdout)["documents"])
    if n_scored != n_files:
        raise ValueError(f"{n_scored} of {n_files} files have a score")
    return n_files / seconds


def served_per_s(url: str, texts: Path, record: Path) -> float:
    """Requests of one text a second that `readability compare` finds, the mean of its two equal arms."""
    load = ("--concurrency", str(IN_FLIGHT), "--rate", "none", "--seconds", str(SECONDS))
    _run("compare", "--aa", MODEL, "--url", url, "--texts", str(texts), *load, "--json", str(record))
    (measured,) = json.loads(record.read_text())["samples"]
    blocks = [block for arm in measured for block in arm]
    return sum(len(block["samples"]) for block in blocks) / sum(block["seconds"] for block in blocks)


def _run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "readability_triton.cli.main", command, *arguments]
    return subprocess.run(whole, stdout=subprocess.PIPE, text=True, check=True)


def measure(folder: Path, n_files: int, rounds: int) -> Sequence[tuple[float, float]]:
    """Files a second of `score` and requests a second of `compare`, a pair a round; which is first changes."""
    texts = made_up_texts(n_files)
    files, lines = folder / "files", folder / "texts.txt"
    files.mkdir()
    for number, text in enumerate(texts):
        (files / f"{number:04}.txt").write_text(text)
    lines.write_text("\n".join(texts))
    pairs = []
    with running(Options()) as server:
        arms = (
            lambda: scored_per_s(server.grpc_url, files, n_files),
            lambda: served_per_s(server.grpc_url, lines, folder / "record.json"),
        )
        for number in range(rounds):
            found = {at: arms[at]() for at in ((0, 1) if number % 2 else (1, 0))}
            pairs.append((found[0], found[1]))
            print(f"score {found[0]:.1f}, compare {found[1]:.1f} a second: {found[0] / found[1]:.3f}", flush=True)
    return pairs


def main() -> None:
    """Print each round, and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=N_FILES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="readability-folder-") as folder:
        pairs = measure(Path(folder), asked.files, asked.rounds)
    print(f"median ratio {np.median([ours / theirs for ours, theirs in pairs]):.3f} of {len(pairs)} rounds")


if __name__ == "__main__":
    main()
