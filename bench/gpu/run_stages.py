"""Run stages one after another inside a total budget, each with its own limit, and write each result at once."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from readability_triton.bench.gpu.stages import Stage

RESULTS = "results.jsonl"
TO_STOP_S = 15.0
"""How long a stage that is interrupted may take to end what it started."""

LOOK_AGAIN_S = 0.05

LEAST_S = 5.0
"""A stage is not started with less than this left of the budget."""

State = Literal["passed", "failed", "timed out", "not run"]


class Command(NamedTuple):
    """What a stage runs, where, and the environment variables that it sees."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What became of a stage.

    Attributes:
        stage: its name.
        state: failed if its exit code is not 0.
        seconds: how long it ran.
        why: it failed or was not run; empty if it passed.
        at: when it ended, UTC.
    """

    stage: str
    state: State
    seconds: float
    why: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.stage:24} {self.state:10} {self.seconds:7.1f} s  {self.why}".rstrip()


def run_stages(
    stages: Sequence[Stage],
    command: Callable[[Stage], Command],
    results: Path,
    budget_s: float,
    show: Callable[[str], object] = print,
    to_stop_s: float = TO_STOP_S,
    again: Collection[str] = (),
) -> list[Result]:
    """Run what has not passed so far, in order; whatever fails or hangs, the next one starts.

    Args:
        stages: in order.
        command: what a stage runs; asked just before it runs.
        results: a folder; `results.jsonl` in it gets a line as each stage ends, `<stage>.txt` its output. Stages
            that passed in an earlier run, by that file, are left out.
        budget_s: for all; what does not fit any more is not run.
        show: gets a line as each stage starts and ends.
        to_stop_s: as `TO_STOP_S`.
        again: stages that are run although they passed.

    Returns:
        The last result of every stage.
    """
    results.mkdir(parents=True, exist_ok=True)
    known = read_results(results)
    end = time.monotonic() + budget_s
    for stage in stages:
        before = known.get(stage.name)
        if before and before.state == "passed" and stage.name not in again:
            show(f"{stage.name:24} passed in an earlier run")
            continue
        result = _run(stage, command, results, known, end - time.monotonic(), to_stop_s, show)
        known[stage.name] = result = replace(result, at=datetime.now(UTC).isoformat(timespec="seconds"))
        _append(results / RESULTS, json.dumps(asdict(result)))
        show(str(result))
    return [known[stage.name] for stage in stages]


def read_results(results: Path) -> dict[str, Result]:
    """The last result of each stage by name; a line that was cut off, as when the disk was full, is left out."""
    known = {}
    with contextlib.suppress(FileNotFoundError):
        for line in (results / RESULTS).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, TypeError):
                result = Result(**json.loads(line))
                known[result.stage] = result
    return known


def _append(file: Path, line: str) -> None:
    cut_off = file.exists() and not file.read_bytes().endswith(b"\n")
    with file.open("a", encoding="utf-8") as opened:
        opened.write("\n" * cut_off + line + "\n")
        opened.flush()
        os.fsync(opened.fileno())


def _run(
    stage: Stage,
    command: Callable[[Stage], Command],
    results: Path,
    known: Mapping[str, Result],
    left_s: float,
    to_stop_s: float,
    show: Callable[[str], object],
) -> Result:
    missing = [name for name in stage.needs if name not in known or known[name].state != "passed"]
    if missing:
        return Result(stage.name, "not run", 0.0, f"needs {', '.join(missing)}")
    if left_s - to_stop_s < LEAST_S:
        return Result(stage.name, "not run", 0.0, "the budget is spent")
    limit_s = min(stage.limit_s, left_s - to_stop_s)
    show(f"{stage.name:24} starts, {limit_s:.0f} s at most")
    start = time.monotonic()
    output = results / f"{stage.name}.txt"
    try:
        with output.open("wb") as file:
            code = _call(command(stage), file.fileno(), limit_s, to_stop_s)
    except OSError as error:
        return Result(stage.name, "failed", time.monotonic() - start, str(error))
    seconds = time.monotonic() - start
    if code is None:
        return Result(stage.name, "timed out", seconds, f"ended after {limit_s:.0f} s: {_last_line(output)}")
    return Result(
        stage.name, "failed" if code else "passed", seconds, f"exit code {code}: {_last_line(output)}" * bool(code)
    )


def _call(command: Command, output: int, limit_s: float, to_stop_s: float) -> int | None:
    """The exit code; None if the command was ended at its limit, with every process that came of it."""
    process = subprocess.Popen(
        command.arguments,
        cwd=command.folder,
        env=command.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            _end(process, to_stop_s)


def _end(process: "subprocess.Popen[bytes]", to_stop_s: float) -> None:
    """Interrupt, so that pytest and the commands stop their servers; then kill what is still there."""
    started = _descendants(process.pid)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(to_stop_s)
    process.kill()
    process.wait()
    end = time.monotonic() + to_stop_s
    while (left := [pid for pid, begun in started.items() if _is_running(pid, begun)]) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(LOOK_AGAIN_S)  # the GPU's memory is free only when they are gone


def _descendants(pid: int) -> dict[int, str | None]:
    """The processes that came of one, with when each began. Servers have sessions of their own: no group holds all."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _fields(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = list(children.get(pid, []))
    for each in found:  # grows as it goes
        found += children.get(each, [])
    return {each: _begun(each) for each in found}


def _is_running(pid: int, begun: str | None) -> bool:
    """Whether it is still the same process: numbers are given again."""
    fields = _fields(pid)
    return bool(fields) and fields[0] not in "ZX" and fields[19] == begun


def _begun(pid: int) -> str | None:
    fields = _fields(pid)
    return fields[19] if fields else None


def _fields(pid: int) -> list[str]:
    """Of `/proc/<pid>/stat`, from the state on: parent is the second, the time of its start the twentieth."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _last_line(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "no output")
