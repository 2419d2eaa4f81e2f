"""The NVIDIA GPUs that the driver reports, and the requirements for serving on them."""

import ctypes
import importlib.metadata
import importlib.util
import zipfile
from pathlib import Path
from typing import NamedTuple

from readability_triton.stages.precision import precision_of

LEAST_BYTES = 8 << 30
"""Of the card. Six processes with a CUDA context of half a gigabyte each, four pools of a gigabyte, and the bundled
encoder: an estimate, not measured."""

LEAST_FOR_FP8 = (8, 9)
"""Compute capability: of Ada; Hopper has 9.0."""

CAPABILITY_ATTRIBUTES = (75, 76)
"""Major and minor, by CUDA's `CUdevice_attribute`."""

PACKAGES = ("cupy", "cudf", "rmm")
FORESTS = ("nvforest", "cuml")
"""One of both infers forests: nvForest, or cuML before RAPIDS 26.04."""

CUDA_RUNTIME, NVRTC = "nvidia-cuda-runtime", "nvidia-cuda-nvrtc"
"""CuPy 13 compiles with pip's headers, of the first, only if the second is of the same major and minor version."""


class Gpu(NamedTuple):
    """A GPU that CUDA sees.

    Attributes:
        name: as the driver gives it.
        memory_bytes: what the card has; 0 if the driver does not say.
        capability: its compute capability, major and minor; zeros if the driver does not say.
    """

    name: str
    memory_bytes: int
    capability: tuple[int, int]


def find_gpus() -> list[Gpu]:
    """The GPUs in CUDA's order; none without a driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    ordinals = range(count.value)
    return [Gpu(_name(cuda, each), _memory(cuda, each), _capability(cuda, each)) for each in ordinals]


def missing_requirements(repository: Path) -> list[str]:
    """Requirements for serving on the GPUs that this machine or the repository does not meet, a line each."""
    gpus = find_gpus()
    if not gpus:
        return ["no NVIDIA GPU or no driver here"]
    too_small = [
        f"GPU {number} ({gpu.name}) has {gpu.memory_bytes / 2**30:.1f} GiB of memory, {LEAST_BYTES >> 30} are needed"
        for number, gpu in enumerate(gpus)
        if gpu.memory_bytes < LEAST_BYTES
    ]
    return [*too_small, *_missing_packages(), *_headers_that_do_not_fit(), *_of_precision(repository, gpus)]


def _missing_packages() -> list[str]:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not any(importlib.util.find_spec(name) for name in FORESTS):
        missing.append(" or ".join(FORESTS))
    lines = [f"not installed: {', '.join(missing)} (`pip install .[gpu]`)"] if missing else []
    return [*lines, *([] if _torch_has_cuda() else ["this PyTorch is built without CUDA"])]


def _headers_that_do_not_fit() -> list[str]:
    try:
        runtime, compiler = (importlib.metadata.version(name) for name in (CUDA_RUNTIME, NVRTC))
    except importlib.metadata.PackageNotFoundError:
        return []  # they are not pip's
    if runtime.split(".")[:2] == compiler.split(".")[:2]:
        return []
    return [f"CuPy cannot compile: {CUDA_RUNTIME} is {runtime}, {NVRTC} {compiler}; install both of one minor version"]


def _of_precision(repository: Path, gpus: list[Gpu]) -> list[str]:
    try:
        precision = precision_of(repository / "bert-large" / "1" / "model.pt")
    except (OSError, zipfile.BadZipFile):
        return []  # starting a server reports it
    if precision == "int8":
        return ["the encoder is built in int8, which only the CPU computes (`readability build` on this machine)"]
    return [
        f"GPU {number} ({gpu.name}) does not multiply fp8, in which the encoder is built: compute capability "
        f"{'.'.join(map(str, gpu.capability))}, 8.9 is needed (`readability build --precision bf16`)"
        for number, gpu in enumerate(gpus)
        if precision == "fp8" and gpu.capability < LEAST_FOR_FP8
    ]


def _torch_has_cuda() -> bool:
    import torch  # takes a second: only where there is a GPU

    return torch.version.cuda is not None


def _name(cuda: ctypes.CDLL, ordinal: int) -> str:
    buffer = ctypes.create_string_buffer(256)
    status = cuda.cuDeviceGetName(buffer, len(buffer), ctypes.c_int(ordinal))
    return buffer.value.decode() if status == 0 else f"GPU {ordinal}"


def _memory(cuda: ctypes.CDLL, ordinal: int) -> int:
    size = ctypes.c_size_t()
    status = cuda.cuDeviceTotalMem_v2(ctypes.byref(size), ctypes.c_int(ordinal))
    return size.value if status == 0 else 0


def _capability(cuda: ctypes.CDLL, ordinal: int) -> tuple[int, int]:
    numbers = (ctypes.c_int(), ctypes.c_int())
    for number, attribute in zip(numbers, CAPABILITY_ATTRIBUTES, strict=True):
        if cuda.cuDeviceGetAttribute(ctypes.byref(number), ctypes.c_int(attribute), ctypes.c_int(ordinal)) != 0:
            return 0, 0
    return numbers[0].value, numbers[1].value
