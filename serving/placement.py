"""One switch between all-CPU and all-GPU: the models' KIND_AUTO follows what the server can see."""

from enum import StrEnum
from pathlib import Path

from readability_triton.serving.errors import PlacementError
from readability_triton.serving.gpu import lacking

HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}


class Placement(StrEnum):
    """Where models run."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def placement_environment(placement: Placement, repository: Path) -> dict[str, str]:
    """Environment variables that bring the placement of a repository's models about.

    `auto` is the GPU where nothing is lacking for it.

    Raises:
        PlacementError: for `gpu` on a machine that lacks something for it; the message names all of it.
    """
    if placement is Placement.CPU:
        return HIDDEN
    missing = lacking(repository)
    if placement is Placement.GPU and missing:
        raise PlacementError(f"--placement gpu: {'; '.join(missing)}; --placement cpu runs the same models")
    return HIDDEN if missing else {}
