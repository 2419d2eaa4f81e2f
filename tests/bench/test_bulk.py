"""What `bench-bulk` measures with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from readability_triton.bench.bulk import Memory, memory_of, write_corpus
from readability_triton.cli.main import main


def test_the_corpus_has_texts_of_about_the_length_asked_for(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.jsonl", ["One two three four."] * 50, 200, 10)
    lengths = [len(json.loads(line)["text"].split()) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lengths) == 200
    assert (min(lengths), max(lengths)) == (5, 15)


def test_memory_counts_a_process_and_what_it_started() -> None:
    inner = "import sys; kept = bytearray(60_000_000); print(1, flush=True); sys.stdin.read()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    before = memory_of(os.getpid())
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert memory_of(process.pid) > 60_000_000
        assert memory_of(os.getpid()) > before + 60_000_000
        process.stdin.close()


def test_growth_is_that_of_the_steady_part() -> None:
    rows = [*range(0, 2000, 100)]
    memory = Memory(rows, [10**9 + 5 * row if row >= 400 else 0 for row in rows])
    value, low, high = memory.growth()
    assert low <= value <= high
    assert value == pytest.approx(5)
    assert Memory([0, 100], [1, 2]).growth() is None


def test_more_cores_than_there_are_is_one_line() -> None:
    ended = CliRunner().invoke(main, ["bench-bulk", "--cores", "4096"])
    assert ended.exit_code == 1
    assert "--cores 4096: this process may use" in ended.output
