"""Install and measure on one NVIDIA GPU, in stages, inside a total budget; no network is needed.

Run in a checkout by Python 3.12, the one that has PyTorch with CUDA 13, with the pieces that `pack` made. A rerun goes
on with what has not passed. With --installed, as `make gpu` runs it, this Python has everything already.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from readability_triton.bench.gpu.install import packages_of_the_machine, python_of
from readability_triton.bench.gpu.run_stages import Command, read_results, run_stages
from readability_triton.bench.gpu.stages import STAGES, Stage

ROOT = Path(__file__).resolve().parents[2]
BUDGET_MIN = 25.0
TABLE = "table.txt"


def main(arguments: list[str] | None = None, stages: Sequence[Stage] = STAGES) -> int:
    """The command; gives its exit code: 0 if every stage passed, 1 if not."""
    options = _parser(stages).parse_args(arguments)
    chosen = [stage for stage in stages if stage.name not in options.skip and not (options.installed and stage.archive)]
    if options.installed:
        chosen = [_without_installing(stage, stages) for stage in chosen]
    results = options.results.resolve()
    is_there = options.installed or python_of(options.environment).exists()
    again = [] if is_there else [stage.name for stage in chosen if stage.archive]
    try:
        run_stages(chosen, lambda stage: _command(stage, options), results, options.budget * 60, _show, again=again)
    finally:
        passed = _show_table(chosen, results)
    return 0 if passed else 1


def _show_table(stages: Sequence[Stage], results: Path) -> bool:
    """Print and write the last result of each stage; says whether all passed."""
    known = read_results(results)
    table = "\n".join(str(known[stage.name]) if stage.name in known else f"{stage.name:24} -" for stage in stages)
    (results / TABLE).write_text(table + "\n", encoding="utf-8")
    _show(f"\n{table}")
    return all(stage.name in known and known[stage.name].state == "passed" for stage in stages)


def _parser(stages: Sequence[Stage]) -> argparse.ArgumentParser:
    names = [stage.name for stage in stages]
    parser = argparse.ArgumentParser(
        prog="python3 -m readability_triton.bench.gpu.measure",
        description="Install and measure on one NVIDIA GPU, in stages.",
        epilog=f"Stages, in order: {', '.join(names)}. "
        "Example: python3 -m readability_triton.bench.gpu.measure --pieces build/gpu-pieces --budget 25",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--pieces", type=Path, metavar="FOLDER", help="the folder that `pack` filled")
    where.add_argument("--installed", action="store_true", help="this Python has everything")
    parser.add_argument(
        "--results", type=Path, default=Path("build/gpu"), metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument(
        "--environment", type=Path, default=Path("build/gpu-environment"), metavar="FOLDER", help="default: %(default)s"
    )
    parser.add_argument("--budget", type=float, default=BUDGET_MIN, metavar="MINUTES", help="default: %(default)s")
    parser.add_argument("--skip", action="append", default=[], choices=names, metavar="STAGE", help="may be repeated")
    return parser


def _without_installing(stage: Stage, stages: Sequence[Stage]) -> Stage:
    installing = {each.name for each in stages if each.archive}
    return replace(stage, needs=tuple(name for name in stage.needs if name not in installing))


def _command(stage: Stage, options: argparse.Namespace) -> Command:
    environment = options.environment.resolve()
    if stage.archive:
        install = ("-m", "readability_triton.bench.gpu.install", stage.archive)
        folders = ("--pieces", str(options.pieces.resolve()), "--environment", str(environment))
        return Command([sys.executable, *install, *folders], ROOT, dict(os.environ))
    python = Path(sys.executable) if options.installed else python_of(environment)
    filled = [argument.replace("{results}", str(options.results.resolve())) for argument in stage.arguments]
    return Command([str(python), *filled], ROOT, _variables(python))


def _variables(python: Path) -> dict[str, str]:
    """Without paths of other Pythons, and with CUDA's libraries from pip, which CuPy 13 does not find (#9318)."""
    own = python.parent.parent.glob("lib/python3.*/site-packages")
    cuda = [library for packages in (*own, *map(Path, packages_of_the_machine())) for library in _cuda(packages)]
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    before = {"PATH": [str(python.parent)], "LD_LIBRARY_PATH": [str(folder) for folder in dict.fromkeys(cuda)]}
    for name, paths in before.items():
        variables[name] = os.pathsep.join([*paths, *filter(None, [variables.get(name)])])
    return variables | {"PYTHONUNBUFFERED": "1"}


def _cuda(packages: Path) -> list[Path]:
    return sorted(packages.glob("nvidia/cu13/lib"))


def end_in_order(*_: object) -> None:
    """On SIGTERM, as an outer time limit sends it: the stage is ended, and the table printed."""
    sys.exit(1)


def _show(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end_in_order)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
