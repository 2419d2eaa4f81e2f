"""Models that are broken when the server starts."""

from readability_triton.cli.failures import EXIT_CODES
from readability_triton.faults.command import serving
from readability_triton.faults.result import Result, account
from readability_triton.faults.setting import Fault, Setting
from readability_triton.serving.errors import ModelLoadError
from readability_triton.serving.repository import copy_repository

LONGEST_NOTE = 160


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


FAULTS = (Fault("broken-encoder", "bert-large's file is not a model: `readability serve` refuses", _broken_encoder),)
