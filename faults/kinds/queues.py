"""More requests at once than can be answered soon."""

import random
import time
from functools import partial

from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import BLS, ENSEMBLE, PARALLEL, Flow, draw
from readability_triton.faults.watch import after

AT_ONCE = {ENSEMBLE: 600, BLS: 1200}
"""More than `bls_pipeline` admits, so that some fail with UNAVAILABLE at once. `ensemble_all` has no bound and answers
all, so fewer are sent."""


def _overfill(setting: Setting, name: str, flow: Flow) -> Result:
    server = setting.server(setting.small_queue())
    rng = random.Random(setting.seed)
    with setting.load(server) as load:
        at = time.monotonic()
        calls = load.burst([draw(rng, flow, len(setting.truth.texts), 1) for _ in range(AT_ONCE[flow.pipeline])])
        samples = [call.result() for call in calls]
        result = after(setting, name, load, server, at)
    longest = max(sample.done - sample.sent for sample in samples)
    return result.noting(f"the longest wait was {longest:.1f} s")


FAULTS = tuple(
    Fault(name, f"{AT_ONCE[flow.pipeline]} requests at once: {flow.name}", partial(_overfill, name=name, flow=flow))
    for name, flow in zip(
        ("queue-ensemble", "queue-ensemble-http", "queue-bls", "queue-bls-http"), PARALLEL, strict=True
    )
)
