"""Which NVIDIA GPUs the driver shows, asked of the driver itself, and what is needed to serve on them."""

import ctypes
import importlib.util
from typing import NamedTuple

LEAST_BYTES = 8 << 30
"""Of the card. Six processes with a CUDA context of half a gigabyte each, four pools of a gigabyte, and the bundled
encoder: an estimate, not measured."""

PACKAGES = ("cupy", "cudf", "rmm", "cuml")


class Gpu(NamedTuple):
    """A GPU that CUDA sees.

    Attributes:
        name: as the driver gives it.
        memory_bytes: what the card has; 0 where the driver does not tell.
    """

    name: str
    memory_bytes: int


def find_gpus() -> list[Gpu]:
    """The GPUs in CUDA's order; none without a driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [Gpu(_name(cuda, ordinal), _memory(cuda, ordinal)) for ordinal in range(count.value)]


def lacking() -> list[str]:
    """What this machine lacks for serving on its GPUs, a line each."""
    gpus = find_gpus()
    if not gpus:
        return ["no NVIDIA GPU or no driver here"]
    too_small = [
        f"GPU {number} ({gpu.name}) has {gpu.memory_bytes / 2**30:.1f} GiB of memory, {LEAST_BYTES >> 30} are needed"
        for number, gpu in enumerate(gpus)
        if gpu.memory_bytes < LEAST_BYTES
    ]
    return [*too_small, *_missing_packages()]


def _missing_packages() -> list[str]:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    lines = [f"not installed: {', '.join(missing)} (`pip install .[gpu]`)"] if missing else []
    return [*lines, *([] if _torch_has_cuda() else ["this PyTorch is built without CUDA"])]


def _torch_has_cuda() -> bool:
    import torch  # takes a second, and is asked only where there is a GPU

    return torch.version.cuda is not None


def _name(cuda: ctypes.CDLL, ordinal: int) -> str:
    buffer = ctypes.create_string_buffer(256)
    status = cuda.cuDeviceGetName(buffer, len(buffer), ctypes.c_int(ordinal))
    return buffer.value.decode() if status == 0 else f"GPU {ordinal}"


def _memory(cuda: ctypes.CDLL, ordinal: int) -> int:
    size = ctypes.c_size_t()
    status = cuda.cuDeviceTotalMem_v2(ctypes.byref(size), ctypes.c_int(ordinal))
    return size.value if status == 0 else 0
