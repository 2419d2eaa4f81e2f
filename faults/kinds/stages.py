"""Stages that hang or fail while their processes live."""

import time
from functools import partial

from readability_triton.faults.copies import HANG, RAISE, trap
from readability_triton.faults.result import Result
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import DEADLINE, ENSEMBLE, EVERYTHING, FALLBACK, OWN_DEADLINE
from readability_triton.faults.watch import after, errors_of, late_of

TRAPPED_S = 4.0
"""Longer than requests with a deadline have."""

SCORERS = ("bert-large", "cuml")

FLOWS = tuple(OWN_DEADLINE if flow is DEADLINE else flow for flow in EVERYTHING)

WITHOUT_ENSEMBLE = tuple(
    flow for flow in FLOWS if flow.pipeline != ENSEMBLE and flow.parameters.get("on_failure") != ENSEMBLE
)
"""Triton 24.10 may crash, or never answer, when one of two parallel steps of an ensemble fails: docs/faults.md."""


def _run(setting: Setting, model: str, what: str, name: str) -> Result:
    copy = setting.trapped()
    server = setting.server(copy)
    file = trap(copy, model, what)
    with setting.load(server, WITHOUT_ENSEMBLE if what == RAISE and model in SCORERS else FLOWS) as load:
        at = time.monotonic()
        try:
            file.touch()
            time.sleep(TRAPPED_S)
        finally:
            file.unlink()
        result = after(setting, name, load, server, at)
        if model in SCORERS:
            result.broken.extend(late_of(load.samples, OWN_DEADLINE, at) + errors_of(load.samples, OWN_DEADLINE))
            result.broken.extend(errors_of(load.samples, FALLBACK))
        return result


FAULTS = (
    *(
        Fault(name, f"{model} {does} for {TRAPPED_S:.0f} s", partial(_run, model=model, what=what, name=name))
        for name, model, what, does in (
            ("hang-bert-large", "bert-large", HANG, "does not answer"),
            ("hang-cuml", "cuml", HANG, "does not answer"),
            ("raise-bert-large", "bert-large", RAISE, "fails (no requests to the ensemble)"),
            ("raise-cuml", "cuml", RAISE, "fails (no requests to the ensemble)"),
            ("raise-preprocess", "preprocess", RAISE, "fails"),
        )
    ),
)
