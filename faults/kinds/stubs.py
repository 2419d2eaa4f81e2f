"""Stubs that die or stop: the processes in which Triton's Python backend runs models."""

import os
import signal
import time
from functools import partial

from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import FALLBACK
from readability_triton.faults.watch import after, errors_of
from readability_triton.serving.stubs import find_stubs

MODELS = ("preprocess", "bert-large", "cuml", "postprocess", "bls_pipeline")
SCORERS = ("bert-large", "cuml")
STOPPED_S = 3.0


def _kill(setting: Setting, model: str) -> Result:
    server = setting.server()
    with setting.load(server) as load:
        at = time.monotonic()
        _signal(server.process.pid, model, signal.SIGKILL)
        result = after(setting, f"kill-{model}", load, server, at)
        if model in SCORERS and not any("starting the server" in line for line in setting.supervisor_lines):
            result.broken.extend(errors_of(load.samples, FALLBACK))
        return result


def _stop(setting: Setting, model: str) -> Result:
    server = setting.server()
    with setting.load(server) as load:
        at = time.monotonic()
        stopped = _signal(server.process.pid, model, signal.SIGSTOP)
        time.sleep(STOPPED_S)
        for pid in stopped:
            _send(pid, signal.SIGCONT)
        return after(setting, f"stop-{model}", load, server, at)


def _signal(server: int, model: str, number: signal.Signals) -> list[int]:
    pids = [stub.pid for stub in find_stubs(server) if stub.model == model]
    for pid in pids:
        _send(pid, number)
    return pids


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # killed and replaced meanwhile


FAULTS = (
    *(Fault(f"kill-{model}", f"the process of {model} is killed", partial(_kill, model=model)) for model in MODELS),
    *(
        Fault(f"stop-{model}", f"the process of {model} is stopped for {STOPPED_S:.0f} s", partial(_stop, model=model))
        for model in SCORERS
    ),
)
