from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from readability_triton.cli import demo
from readability_triton.cli.main import main
from readability_triton.cli.samples import sample_passages


@pytest.fixture
def run(wire, monkeypatch):
    """Run the command on `wire`, in a terminal of 80 columns."""

    @contextmanager
    def starting(options):
        yield SimpleNamespace(grpc_url=wire.url)

    monkeypatch.setattr(demo, "starting", starting)
    monkeypatch.setenv("COLUMNS", "80")
    return lambda: CliRunner().invoke(main, ["demo"])


def row(output: str, passage: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if passage in line]
    return line.split()


def test_the_table_fits_80_columns_even_where_a_request_takes_seconds(wire, run, monkeypatch):
    wire.parameters["level_line"] = "2.0 0.001 0.49"
    clock = iter(range(0, 10_000, 8))
    monkeypatch.setattr(demo, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    result = run()
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "…" not in result.stdout
    assert row(result.stdout, "01-first-reader")[2] == "8000.0"


def test_each_passage_has_a_level_beside_its_percentile(wire, run):
    wire.parameters["level_line"] = "2.0 0.001 0.49"
    output = run().stdout
    assert "CEFR" in output
    for passage, text in sample_passages().items():
        score = len(text.encode()) / 2
        assert row(output, passage)[-1] == ("A2" if score < 500 else "B1")


def test_without_a_line_to_levels_the_cells_are_blank(run):
    output = run().stdout
    assert all(row(output, passage)[-1] == "%" for passage in sample_passages())
