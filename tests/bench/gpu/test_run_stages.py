"""Stages: whatever fails or hangs, the next one runs; each result is written at once; a rerun goes on."""

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from readability_triton.bench.gpu.run_stages import RESULTS, Command, Result, read_results, run_stages
from readability_triton.bench.gpu.stages import STAGES, Stage

HANGS = "import signal; print('waiting', flush=True); signal.pause()"
IGNORES = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.pause()"
STARTS_A_SERVER = f"""
import signal, subprocess, sys
server = subprocess.Popen([sys.executable, "-c", {IGNORES!r}], start_new_session=True)
print(server.pid, flush=True)
"""


def python(stage: Stage) -> Command:
    return Command([sys.executable, *stage.arguments], Path.cwd(), os.environ)


def code(name: str, text: str, limit_s: float = 60, needs: tuple[str, ...] = ()) -> Stage:
    return Stage(name, ("-c", text), limit_s, needs)


def run(folder: Path, *stages: Stage, budget_s: float = 300, to_stop_s: float = 15, **options) -> dict[str, Result]:
    results = run_stages(stages, python, folder, budget_s, lambda line: None, to_stop_s, **options)
    return {result.stage: result for result in results}


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_each_stage_leaves_a_line_and_its_output(tmp_path: Path) -> None:
    results = run(tmp_path, code("one", "print('first')"), code("two", "print('out'); raise SystemExit(3)"))
    assert [(each.stage, each.state) for each in results.values()] == [("one", "passed"), ("two", "failed")]
    assert results["two"].why == "exit code 3: out"
    lines = [json.loads(line) for line in (tmp_path / RESULTS).read_text().splitlines()]
    assert [(line["stage"], line["state"]) for line in lines] == [("one", "passed"), ("two", "failed")]
    assert all(line["at"] for line in lines)
    assert (tmp_path / "one.txt").read_text() == "first\n"


def test_a_stage_sees_the_results_of_those_before_it_on_the_disk(tmp_path: Path) -> None:
    reads = f"import sys; sys.exit('one' not in open({str(tmp_path / RESULTS)!r}).read())"
    assert run(tmp_path, code("one", ""), code("two", reads))["two"].state == "passed"


def test_a_stage_that_hangs_is_ended_and_the_next_one_runs(tmp_path: Path) -> None:
    results = run(tmp_path, code("hangs", HANGS, 0.5), code("next", ""))
    assert results["hangs"].state == "timed out"
    assert results["next"].state == "passed"


@pytest.mark.parametrize("waits", ["signal.pause()", IGNORES])
def test_what_a_hanging_stage_started_is_ended_too_whatever_session_it_is_in(tmp_path: Path, waits: str) -> None:
    results = run(tmp_path, code("hangs", STARTS_A_SERVER + waits, 3), to_stop_s=2)
    assert results["hangs"].state == "timed out"
    assert not is_running(int((tmp_path / "hangs.txt").read_text().split()[0]))


def test_a_stage_that_cannot_be_started_fails_by_itself(tmp_path: Path) -> None:
    def command(stage: Stage) -> Command:
        return Command(["/no/such/program"], Path.cwd(), os.environ) if stage.name == "bad" else python(stage)

    results = run_stages([code("bad", ""), code("good", "")], command, tmp_path, 300, lambda line: None)
    assert [result.state for result in results] == ["failed", "passed"]
    assert "/no/such/program" in results[0].why


def test_what_a_stage_needs_must_have_passed(tmp_path: Path) -> None:
    results = run(
        tmp_path, code("bad", "raise SystemExit(1)"), code("needs", "", needs=("bad", "absent")), code("free", "")
    )
    assert results["needs"].state == "not run"
    assert results["needs"].why == "needs bad, absent"
    assert results["free"].state == "passed"


def test_what_does_not_fit_the_budget_is_not_run(tmp_path: Path) -> None:
    results = run(tmp_path, code("one", ""), budget_s=19, to_stop_s=15)
    assert (results["one"].state, results["one"].why) == ("not run", "the budget is spent")


def test_the_budget_cuts_a_stages_limit(tmp_path: Path) -> None:
    results = run(tmp_path, code("hangs", HANGS, 1000), code("next", ""), budget_s=5.6, to_stop_s=0.1)
    assert results["hangs"].state == "timed out"
    assert results["next"].why == "the budget is spent"


def test_a_rerun_runs_what_has_not_passed_and_what_it_is_told_to(tmp_path: Path) -> None:
    count = f"open({str(tmp_path)!r} + '/count', 'a').write('x')"
    once = code("once", count)
    fails = code("then", f"import pathlib, sys; sys.exit(not pathlib.Path({str(tmp_path / 'mended')!r}).exists())")
    after = code("after", "", needs=("then",))
    assert run(tmp_path, once, fails, after)["after"].state == "not run"
    (tmp_path / "mended").touch()
    results = run(tmp_path, once, fails, after)
    assert [result.state for result in results.values()] == ["passed"] * 3
    assert (tmp_path / "count").read_text() == "x"
    run(tmp_path, once, again=["once"])
    assert (tmp_path / "count").read_text() == "xx"


def test_a_line_of_the_results_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    run(tmp_path, code("one", ""))
    with (tmp_path / RESULTS).open("a") as file:
        file.write('{"stage": "two", "sta')
    assert list(read_results(tmp_path)) == ["one"]
    assert run(tmp_path, code("two", ""))["two"].state == "passed"
    assert sorted(read_results(tmp_path)) == ["one", "two"]


def test_the_stages_of_the_project_need_stages_before_them_and_fit_the_budget_but_for_the_last() -> None:
    before: set[str] = set()
    for stage in STAGES:
        assert set(stage.needs) <= before, stage.name
        assert stage.name not in before
        before.add(stage.name)


def test_the_stages_of_the_project_name_tests_that_exist() -> None:
    root = Path(__file__).parents[3]
    files = [root / argument for stage in STAGES for argument in stage.arguments if argument.endswith(".py")]
    assert {file.name for file in files} == {path.name for path in (root / "tests" / "gpu").glob("test_*.py")}
    assert all(file.is_file() for file in files)
