"""One switch between all-CPU and all-GPU: the models' KIND_AUTO follows what the server can see."""

from enum import StrEnum

from serving.errors import PlacementError
from serving.gpu import gpu_names


class Placement(StrEnum):
    """Where models run."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


def placement_environment(placement: Placement) -> dict[str, str]:
    """Environment variables that bring the placement about.

    Raises:
        PlacementError: for `gpu` on a machine where CUDA sees none.
    """
    if placement is Placement.CPU:
        return {"CUDA_VISIBLE_DEVICES": ""}
    if placement is Placement.GPU and not gpu_names():
        raise PlacementError("--placement gpu: no NVIDIA GPU or no driver here; --placement cpu runs the same models")
    return {}
