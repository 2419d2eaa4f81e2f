"""What `bench-bulk` measures with."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from readability_triton.bench.bulk import Memory, write_corpus
from readability_triton.cli.main import main


def test_the_corpus_has_texts_of_about_the_length_asked_for(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.jsonl", ["One two three four."] * 50, 200, 10)
    lengths = [len(json.loads(line)["text"].split()) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(lengths) == 200
    assert (min(lengths), max(lengths)) == (5, 15)


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
