"""One switch between all-CPU and all-GPU: the models' KIND_AUTO follows what the server can see."""

from enum import StrEnum
from pathlib import Path

from readability_triton.serving.errors import PlacementError
from readability_triton.serving.gpu import missing_requirements

HIDDEN = {"CUDA_VISIBLE_DEVICES": ""}


class Placement(StrEnum):
    """Where models run."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def placement_environment(placement: Placement, repository: Path) -> dict[str, str]:
    """Environment variables that bring the placement of a repository's models about.

    `auto` is the GPU if no requirement is missing.

    Raises:
        PlacementError: for `gpu` on a machine with missing requirements; the message names them all.
    """
    if placement is Placement.CPU:
        return HIDDEN
    missing = missing_requirements(repository)
    if placement is Placement.GPU and missing:
        raise PlacementError(f"--placement gpu: {'; '.join(missing)}; --placement cpu runs the same models")
    return HIDDEN if missing else {}
