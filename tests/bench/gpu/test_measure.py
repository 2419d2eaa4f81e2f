"""Both scripts, end to end: small wheels are packed, put together and installed, and stages run with them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from readability_triton.bench.gpu import install, measure, pack
from readability_triton.bench.gpu.run_stages import RESULTS
from readability_triton.bench.gpu.stages import STAGES, Stage
from tests.bench.gpu.wheel import Index

CARRIED = "import click, torch; assert (click.__version__, torch.__version__) == ('99.0', '2.13.0')"
ON_THE_MACHINE = "import pytest, readability_triton; print(pytest.__version__)"
ROOT = Path(__file__).parents[3]


def code(name: str, text: str, limit_s: float = 60, needs: tuple[str, ...] = ("install-base",)) -> Stage:
    return Stage(name, ("-c", text), limit_s, needs)


STAND_INS = (
    Stage("install-base", limit_s=120, archive="base"),
    code("own packages go before the machine's", CARRIED),
    code("the machine's packages are found", ON_THE_MACHINE),
    code("writes figures", "open('{results}/figures.json', 'w').write('{}')"),
    code("fails", "import pathlib, sys; sys.exit(0 if pathlib.Path('{results}/mended').exists() else 'broken')"),
    code("hangs", "import signal, pathlib; pathlib.Path('{results}/mended').exists() or signal.pause()", 1),
    Stage("install-rapids", limit_s=120, needs=("install-base",), archive="rapids"),
    code("rapids", "import cudf_cu13, pandas; assert pandas.__version__ == '2.3.3'", needs=("install-rapids",)),
)


@pytest.fixture
def pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with monkeypatch.context() as patch:
        Index(tmp_path / "index", patch)
        assert pack.main([str(tmp_path / "pieces"), "--piece-bytes", "500000"]) == 0
    return tmp_path / "pieces"


def run(tmp_path: Path, stages: tuple[Stage, ...] = STAND_INS, *options: str) -> int:
    folders = ("--results", str(tmp_path / "results"), "--environment", str(tmp_path / "environment"))
    return measure.main(["--pieces", str(tmp_path / "pieces"), *folders, *options], stages)


def states(tmp_path: Path) -> list[tuple[str, str]]:
    lines = (tmp_path / "results" / RESULTS).read_text().splitlines()
    return [(line["stage"], line["state"]) for line in map(json.loads, lines)]


def test_everything_runs_that_can_and_a_rerun_does_the_rest(tmp_path: Path, pieces: Path, capsys) -> None:
    damaged = pieces / "rapids.tar.00"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + b"x")
    assert run(tmp_path) == 1
    assert states(tmp_path) == [
        ("install-base", "passed"),
        ("own packages go before the machine's", "passed"),
        ("the machine's packages are found", "passed"),
        ("writes figures", "passed"),
        ("fails", "failed"),
        ("hangs", "timed out"),
        ("install-rapids", "failed"),
        ("rapids", "not run"),
    ]
    table = capsys.readouterr().out.rpartition("\n\n")[2]
    assert "exit code 1: broken" in table
    assert "rapids.tar.00 is damaged" in table
    assert "needs install-rapids" in table
    assert (tmp_path / "results" / "table.txt").read_text() == table
    assert (tmp_path / "results" / "figures.json").read_text() == "{}"

    damaged.write_bytes(whole)
    (tmp_path / "results" / "mended").touch()
    assert run(tmp_path) == 0
    assert states(tmp_path)[8:] == [
        ("fails", "passed"),
        ("hangs", "passed"),
        ("install-rapids", "passed"),
        ("rapids", "passed"),
    ]


def test_an_environment_that_is_gone_is_made_again(tmp_path: Path, pieces: Path) -> None:
    stages = STAND_INS[:2]
    assert run(tmp_path, stages) == 0
    (tmp_path / "environment").rename(tmp_path / "gone")
    assert run(tmp_path, stages) == 0
    assert states(tmp_path)[2:] == [("install-base", "passed")]


def test_a_missing_piece_of_the_base_stops_nothing_but_what_needs_it(tmp_path: Path, pieces: Path) -> None:
    (pieces / "base.tar.01").unlink()
    free = Stage("free", ("-c", ""))
    assert run(tmp_path, (*STAND_INS[:2], free)) == 1
    assert [state for _, state in states(tmp_path)] == ["failed", "not run", "passed"]
    assert "base.tar.01 is missing" in (tmp_path / "results" / "install-base.txt").read_text()


def test_the_machines_pytorch_must_fit_where_none_is_carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = tmp_path / "machine.txt"
    machine.write_text("torch==2.13.0\n")
    with monkeypatch.context() as patch:
        Index(tmp_path / "index", patch)
        assert pack.main([str(tmp_path / "pieces"), "--have", str(machine)]) == 0
    code = run(tmp_path, STAND_INS[:1])
    output = (tmp_path / "results" / "install-base.txt").read_text()
    if code:
        assert "this machine's PyTorch does not fit (PyTorch 2." in output
        assert "pack without --have" in output
    else:
        assert install.python_of(tmp_path / "environment").exists()  # it has CUDA 13


def test_skipped_and_installed_stages_are_left_out(tmp_path: Path) -> None:
    stages = (STAND_INS[0], code("one", ""), code("two", "raise SystemExit(1)"))
    options = ["--installed", "--results", str(tmp_path / "results"), "--skip", "two"]
    assert measure.main(options, stages) == 0
    assert states(tmp_path) == [("one", "passed")]


def test_an_outer_limit_ends_the_stage_and_the_table_is_printed_all_the_same(tmp_path: Path) -> None:
    script = f"""
import signal, sys
from pathlib import Path
from readability_triton.bench.gpu import measure, stages
hangs = stages.Stage("hangs", ("-c", "import signal; print(1, flush=True); signal.pause()"), 600)
signal.signal(signal.SIGTERM, measure.end_in_order)
sys.exit(measure.main(["--installed", "--results", {str(tmp_path)!r}], (hangs,)))
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "hangs" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "hangs" in output
    assert (tmp_path / "table.txt").read_text().split() == ["hangs", "-"]


def test_help_names_every_stage(capsys) -> None:
    with pytest.raises(SystemExit):
        measure.main(["--help"])
    text = capsys.readouterr().out
    assert all(stage.name in text for stage in STAGES)
