"""What the tests of `bulk` share. Each of its modules is skipped where its extra is not installed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readability_triton.serving.repository import default_repository


@pytest.fixture
def corpus(tmp_path: Path, made_up_text: Callable[..., str]) -> Callable[[int], Path]:
    """Write JSON lines with so many short texts, every tenth of them empty."""

    def write(n_rows: int) -> Path:
        file = tmp_path / "corpus.jsonl"
        lines = (
            json.dumps({"id": f"row {row}", "text": "" if row % 10 == 9 else made_up_text(3 + row % 7, seed=row)})
            for row in range(n_rows)
        )
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    return write


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Any]:
    """A job over a file, into `tmp_path / "scores"`."""

    def make(source: Path, **options: Any) -> Any:
        from readability_triton.bulk.job import Job
        from readability_triton.bulk.rows import Columns
        from readability_triton.bulk.worker import Models

        models = Models(default_repository())
        columns = Columns("text", ("id",))
        return Job(str(source), str(tmp_path / "scores"), models, columns, rows_per_part=20, **options)

    return make


@pytest.fixture
def scores(tmp_path: Path) -> Callable[[], list[dict]]:
    """All rows of the output, by their place in the input."""

    def read() -> list[dict]:
        import pyarrow.parquet as pq

        return sorted(pq.read_table(tmp_path / "scores").to_pylist(), key=lambda row: (row["file"], row["row"]))

    return read
