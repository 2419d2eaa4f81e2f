"""Which NVIDIA GPUs the driver shows, asked of the driver itself."""

import ctypes


def gpu_names() -> list[str]:
    """Names of the GPUs that CUDA sees, in its order; empty without a driver or a GPU."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int()
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    return [_name(cuda, ordinal) for ordinal in range(count.value)]


def _name(cuda: ctypes.CDLL, ordinal: int) -> str:
    buffer = ctypes.create_string_buffer(256)
    status = cuda.cuDeviceGetName(buffer, len(buffer), ctypes.c_int(ordinal))
    return buffer.value.decode() if status == 0 else f"GPU {ordinal}"
