"""Servers that end: killed and started again, or stopped in order."""

import random
import signal
import time

from readability_triton.faults.command import serving
from readability_triton.faults.load import Load, Sample, Target
from readability_triton.faults.orphans import end_orphans
from readability_triton.faults.result import Result, account
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import FALLBACK, PARALLEL, Asked, draw
from readability_triton.faults.verdict import Kind
from readability_triton.faults.watch import after
from readability_triton.serving.ports import free_ports
from readability_triton.serving.server import Options, running
from readability_triton.serving.stubs import find_stubs

DOWN_S = 1.0
N_IN_FLIGHT = 24
ROWS_IN_FLIGHT = 16
ARRIVAL_S = 0.5
"""By then requests that were sent are in the server; there is work for several seconds."""


def _killed(setting: Setting) -> Result:
    setting.discard()
    http, grpc, metrics = free_ports(3)
    options = Options(setting.repository, http_port=http, grpc_port=grpc, metrics_port=metrics)
    with running(options) as server, setting.load(server) as load:
        stubs = [stub.pid for stub in find_stubs(server.process.pid)]
        at = time.monotonic()
        server.process.kill()
        server.process.wait()
        server.stop()
        time.sleep(DOWN_S)
        with running(options) as again:
            result = after(setting, "server-killed", load, again, at)
    return result.noting(*filter(None, [end_orphans(stubs)]))


def _stopped(setting: Setting) -> Result:
    setting.discard()
    rng = random.Random(setting.seed)
    flows = (*PARALLEL, FALLBACK)
    with serving(setting.repository) as served:
        if not served.urls:
            return account("sigterm", [], broken=[f"the server did not start: {served.said()}"])
        with Load(Target(served.urls, setting.truth), flows, setting.seed) as load:
            time.sleep(1)
            calls = load.burst(_long(rng, number, setting) for number in range(N_IN_FLIGHT))
            time.sleep(ARRIVAL_S)
            unfinished = sum(not call.done() for call in calls)
            served.process.send_signal(signal.SIGTERM)
            in_flight = [call.result() for call in calls]
            code = served.process.wait(60)
    broken = [f"{number} requests in flight were lost: {what}" for what, number in _lost(in_flight).items()]
    if code != 0:
        broken.append(f"exit code {code}")
    return account("sigterm", load.samples, None, broken, [f"{unfinished} requests in flight at SIGTERM"])


def _long(rng: random.Random, number: int, setting: Setting) -> Asked:
    return draw(rng, PARALLEL[number % len(PARALLEL)], len(setting.truth.texts), ROWS_IN_FLIGHT)


def _lost(samples: list[Sample]) -> dict[str, int]:
    lost = [f"{sample.flow} {sample.verdict.note}" for sample in samples if sample.verdict.kind is not Kind.RIGHT]
    return {what: lost.count(what) for what in dict.fromkeys(lost)}


FAULTS = (
    Fault("server-killed", "the server is killed and started again, the clients stay", _killed),
    Fault("sigterm", f"`readability serve` gets SIGTERM with {N_IN_FLIGHT} long requests in flight", _stopped),
)
