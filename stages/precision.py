"""What the served encoder computes in, and where `model.pt` says so. Read without PyTorch."""

import zipfile
from pathlib import Path
from typing import Literal

Precision = Literal["fp32", "bf16", "int8", "fp8"]
"""Of the encoder's layers. `int8` and `fp8` keep linear layers' weights in 8 bits and round what goes into them anew:
`int8` for every batch (dynamic quantisation), on the CPU only; `fp8` for every token, in the feed-forward layers only
and the rest in bf16, for GPUs that multiply it."""

NOTE = "precision"
"""Name of the extra file in `model.pt`, which Triton passes over."""


def precision_of(path: Path) -> str:
    """What the `model.pt` at this path computes in; "unknown" where another program wrote it.

    Raises:
        OSError: if there is no such file.
        zipfile.BadZipFile: if it is no TorchScript.
    """
    with zipfile.ZipFile(path) as archive:
        notes = [name for name in archive.namelist() if name.endswith(f"/extra/{NOTE}")]
        return archive.read(notes[0]).decode() if notes else "unknown"
