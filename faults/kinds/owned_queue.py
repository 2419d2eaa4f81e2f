"""What `bls_pipeline` owns and may lose: long requests whose client leaves or whose process dies, and overload."""

import os
import random
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial

from readability_triton.faults.copies import DROP, trap
from readability_triton.faults.load import Load, Sample, make_client
from readability_triton.faults.metrics import rows_queued
from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, Setting, target
from readability_triton.faults.traffic import BLS, PARALLEL, Flow, draw
from readability_triton.faults.verdict import Kind
from readability_triton.faults.watch import after, wait_for
from readability_triton.serving.outstanding import outstanding
from readability_triton.serving.stubs import find_stubs, is_alive, process_state

LONG_ROWS = 256
N_LONG = 4
STAY_S = 1.0
DRAIN_LIMIT_S = 5.0
ARRIVAL_LIMIT_S = 10.0
ERROR_LIMIT_S = 5.0
"""Clients of a process that died have an answer or an error by then."""

SERVICE_LIMIT_S = 15.0
N_AT_ONCE = 400
TIMEOUT_MS, SLACK_S = 1000, 1.5
HASTY = Flow("hasty", BLS, "grpc", {"timeout_ms": TIMEOUT_MS})
GRPC = {flow.pipeline: flow for flow in PARALLEL if flow.scheme == "grpc"}


def _bulk_leaves(setting: Setting) -> Result:
    server = setting.server()
    with setting.load(server) as load:
        at = time.monotonic()
        for _ in range(N_LONG):
            load.submit(_leave(setting, target(server, setting.truth).urls)).result()
        drained = wait_for(lambda: sum(rows_queued(server.metrics_url).values()) < LONG_ROWS / 4, DRAIN_LIMIT_S)
        result = after(setting, "bulk-client-leaves", load, server, at)
    if not drained:
        result.broken.append(f"rows of clients that are gone still wait: {dict(rows_queued(server.metrics_url))}")
    return result


async def _leave(setting: Setting, urls: Mapping[str, str]) -> None:
    """A client of many texts that gives up after a second."""
    client = make_client(GRPC[BLS], urls, timeout_s=STAY_S)
    texts = [setting.truth.texts[row % len(setting.truth.texts)] for row in range(LONG_ROWS)]
    try:
        await client.score(texts, [1.0] * LONG_ROWS)
    except Exception:  # its own deadline
        return
    finally:
        await client.close()


def _killed_busy(setting: Setting, model: str, pipeline: str) -> Result:
    name = f"kill-busy-{model}-{pipeline}"
    server = setting.server()
    rng = random.Random(setting.seed)
    with setting.load(server) as load:
        calls = load.burst([draw(rng, GRPC[pipeline], len(setting.truth.texts), LONG_ROWS) for _ in range(N_LONG)])
        pid = next(stub.pid for stub in find_stubs(server.process.pid) if stub.model == model)
        wait_for(lambda: outstanding(server.outstanding, pid) > 0, ARRIVAL_LIMIT_S)
        at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        samples = [call.result() for call in calls]
        result = after(setting, name, load, server, at)
    return _within_limits(result, max(sample.done for sample in samples) - at)


def _sender_lost(setting: Setting) -> Result:
    copy = setting.trapped()
    server = setting.server(copy)
    file = trap(copy, BLS, DROP)
    rng = random.Random(setting.seed)
    with setting.load(server) as load:
        pid = next(stub.pid for stub in find_stubs(server.process.pid) if stub.model == BLS)
        at = time.monotonic()
        try:
            file.touch()
            calls = load.burst([draw(rng, GRPC[BLS], len(setting.truth.texts)) for _ in range(N_LONG)])
            ended = wait_for(lambda: not is_alive(process_state(pid)), ERROR_LIMIT_S)
        finally:
            file.unlink()
        samples = [call.result() for call in calls]
        result = after(setting, "sender-lost", load, server, at)
    if not ended:
        result.broken.append("a process that cannot answer goes on")
    return _within_limits(result, max(sample.done for sample in samples) - at)


def _within_limits(result: Result, slowest: float) -> Result:
    """Hold the wait of the slowest client, in seconds, and the time until all is in order against their limits."""
    if slowest > ERROR_LIMIT_S:
        result.broken.append(f"a client waited {slowest:.1f} s for an answer or an error")
    if result.recovery_s is not None and result.recovery_s > SERVICE_LIMIT_S:
        result.broken.append(f"served again after {result.recovery_s:.1f} s")
    return result.noting(f"the last client had its answer or error after {max(0.0, slowest):.1f} s")


def _overload(setting: Setting) -> Result:
    server = setting.server()
    rng = random.Random(setting.seed)
    with setting.load(server) as load:
        at = time.monotonic()
        samples = _all_at_once(load, setting, rng)
        result = after(setting, "overload", load, server, at)
    longest = max(sample.done - sample.sent for sample in samples)
    if longest > TIMEOUT_MS / 1000 + SLACK_S:
        result.broken.append(f"a request with {TIMEOUT_MS} ms to live was answered after {longest:.1f} s")
    right = sum(sample.verdict.kind is Kind.RIGHT for sample in samples)
    return result.noting(f"{right} of {len(samples)} requests with {TIMEOUT_MS} ms to live were answered in time")


def _all_at_once(load: Load, setting: Setting, rng: random.Random) -> list[Sample]:
    calls: list[Future[Sample]] = load.burst([draw(rng, HASTY, len(setting.truth.texts), 1) for _ in range(N_AT_ONCE)])
    return [call.result() for call in calls]


FAULTS = (
    Fault("bulk-client-leaves", f"{N_LONG} clients of {LONG_ROWS} texts leave after {STAY_S:g} s", _bulk_leaves),
    *(
        Fault(
            f"kill-busy-{model}-{pipeline}",
            f"the process of {model} is killed while {N_LONG} clients of {pipeline} wait for {LONG_ROWS} texts each",
            partial(_killed_busy, model=model, pipeline=pipeline),
        )
        for model, pipeline in (("bls_pipeline", BLS), ("bert-large", BLS), ("bert-large", "ensemble_all"))
    ),
    Fault("sender-lost", "bls_pipeline has answers that it cannot send, and no error either", _sender_lost),
    Fault("overload", f"{N_AT_ONCE} requests at once that have {TIMEOUT_MS} ms to live", _overload),
)
