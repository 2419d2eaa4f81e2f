"""Several fits, one after the other or at once, each of those in a process and on cores of its own.

Layers as small as MiniLM's do not keep two cores busy: two fits with one thread each go through 1.31 times as many rows
a second as one fit with two threads.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from readability_triton.training.fit import Progress, fit
from readability_triton.training.run_folder import RunFolder
from readability_triton.training.task import Task


@dataclass(frozen=True)
class Plan:
    """A fit to be run: its name in the run folder, the excerpts to fit on and to predict, and the most epochs."""

    name: str
    rows: NDArray[np.int64]
    held_out: NDArray[np.int64]
    epochs: int


def run_fits(task: Task, plans: Sequence[Plan], run: RunFolder, progress: Progress, jobs: int) -> None:
    """Run the epochs that are missing of every plan; what comes of it is in the run folder.

    Raises:
        ChildProcessError: if the process of a fit fails or is killed; the others are stopped then, and the same call
            goes on from what they kept.
    """
    if jobs > 1 and len(plans) > 1:
        _run_at_once(task, plans, run, progress, jobs)
        return
    for plan in plans:
        _run(task, plan, run, progress)


def _run(task: Task, plan: Plan, run: RunFolder, progress: Progress) -> None:
    fit(plan.name, task.start(plan.rows), plan.held_out, task.corpus.targets, plan.epochs, run, progress)


def _run_at_once(task: Task, plans: Sequence[Plan], run: RunFolder, progress: Progress, jobs: int) -> None:
    shared = run.path / "task.pt"
    torch.save(task, shared)
    waiting, running = list(plans), dict[Connection, _Running]()
    total = sum(_rows_to_go(task, plan) for plan in plans)
    try:
        with progress(f"{len(plans)} fits, {jobs} at a time", total) as on_progress:
            while waiting or running:
                while waiting and len(running) < jobs:
                    plan = waiting.pop(0)
                    process, receiver = _start(shared, plan, run, jobs)
                    running[receiver] = _Running(process, _rows_to_go(task, plan))
                wait(running)
                for receiver in [each for each in running if each.poll()]:
                    _listen(receiver, running, on_progress)
        run.write_log("all")  # two fits that end at once may each have missed the other's last line
    finally:
        for each in running.values():
            each.process.kill()
            each.process.join()
        shared.unlink()


@dataclass
class _Running:
    process: BaseProcess
    rows_to_go: int


def _rows_to_go(task: Task, plan: Plan) -> int:
    return plan.epochs * len(task.learned_from(plan.rows))


def _start(shared: Path, plan: Plan, run: RunFolder, jobs: int) -> tuple[BaseProcess, Connection]:
    """A process for the plan, and what it tells: how many more rows it has gone through, and an end when it is done."""
    # PyTorch's threads do not survive a fork of this process. The server of this context has imported everything, once,
    # and has computed nothing.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run_alone, args=(shared, plan, run, jobs, sender), name=plan.name, daemon=True)
    process.start()
    sender.close()
    return process, receiver


def _run_alone(shared: Path, plan: Plan, run: RunFolder, jobs: int, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; the parent stops its children
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // jobs))
    task = torch.load(shared, weights_only=False, mmap=True)

    @contextmanager
    def progress(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
        yield sender.send

    _run(task, plan, run, progress)


def _listen(receiver: Connection, running: dict[Connection, _Running], on_progress: Callable[[int], None]) -> None:
    each = running[receiver]
    try:
        rows = receiver.recv()
    except EOFError:
        del running[receiver]
        each.process.join()
        if each.process.exitcode:
            raise ChildProcessError(f"the fit {each.process.name} ended with code {each.process.exitcode}") from None
        rows = each.rows_to_go  # of epochs done before, or not needed
    each.rows_to_go -= rows
    on_progress(rows)
