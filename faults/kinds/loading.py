"""Models that are missing or broken when the server starts."""

import shutil
import time

from readability_triton.cli.failures import EXIT_CODES
from readability_triton.faults.command import serving
from readability_triton.faults.load import Load
from readability_triton.faults.result import Result, account
from readability_triton.faults.setting import Fault, Setting, target
from readability_triton.faults.traffic import CASCADES, FALLBACK, PARALLEL
from readability_triton.faults.verdict import Kind
from readability_triton.serving.errors import ModelLoadError
from readability_triton.serving.repository import copy_repository
from readability_triton.serving.server import Options, running

LOOK_S = 3.0
LONGEST_NOTE = 160


def _no_gate(setting: Setting) -> Result:
    setting.discard()
    copy = copy_repository(setting.repository, setting.folder / "no-gate")
    shutil.rmtree(copy / "gate")
    flows = (*PARALLEL, FALLBACK, *CASCADES)
    with running(Options(copy)) as server, Load(target(server, setting.truth), flows, setting.seed) as load:
        time.sleep(max(LOOK_S, setting.seconds))
    needs_gate = {flow.name for flow in CASCADES}
    surprises = {
        f"{sample.flow}: {sample.verdict.kind.value} {sample.verdict.note}"
        for sample in load.samples
        if sample.verdict.kind is not (Kind.ERROR if sample.flow in needs_gate else Kind.RIGHT)
    }
    return account("no-gate", load.samples, broken=sorted(surprises))


def _broken_encoder(setting: Setting) -> Result:
    setting.discard()
    copy = copy_repository(setting.repository, setting.folder / "broken-encoder")
    module = copy / "bert-large" / "1" / "model.pt"
    module.unlink()
    module.write_bytes(b"this is not TorchScript")
    with serving(copy) as served:
        code = None if served.urls else served.process.wait(60)
        said = [line for line in served.said().splitlines() if "bert-large" in line]
    broken = [] if code == EXIT_CODES[ModelLoadError] else [f"exit code {code} instead of {EXIT_CODES[ModelLoadError]}"]
    return account(
        "broken-encoder",
        [],
        broken=broken if said else [*broken, "the model is not named"],
        notes=[line.strip()[:LONGEST_NOTE] for line in said[:1]],
    )


FAULTS = (
    Fault("no-gate", "the model `gate` is not in the repository: cascade cannot, everything else can", _no_gate),
    Fault("broken-encoder", "bert-large's file is not a model: `readability serve` refuses", _broken_encoder),
)
