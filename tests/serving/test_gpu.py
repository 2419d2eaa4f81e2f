import ctypes

import pytest

from serving import gpu
from serving.gpu import gpu_names

OK, NO_DEVICE = 0, 100


class FakeCuda:
    """The three calls of the driver that are made, for GPUs of these names; None is one that does not tell."""

    def __init__(self, names: list[str | None], init: int = OK, count: int = OK) -> None:
        self.names, self.init, self.count = names, init, count

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, count) -> int:  # noqa: N802
        count._obj.value = len(self.names)
        return self.count

    def cuDeviceGetName(self, buffer, length: int, ordinal: ctypes.c_int) -> int:  # noqa: N802
        name = self.names[ordinal.value]
        if name is None:
            return NO_DEVICE
        buffer.value = name.encode()
        return OK


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [
        (FakeCuda(["NVIDIA H100 80GB HBM3", "NVIDIA T4"]), ["NVIDIA H100 80GB HBM3", "NVIDIA T4"]),
        (FakeCuda(["NVIDIA T4", None]), ["NVIDIA T4", "GPU 1"]),
        (FakeCuda([]), []),
        (FakeCuda(["hidden"], init=NO_DEVICE), []),
        (FakeCuda(["unreadable"], count=NO_DEVICE), []),
    ],
    ids=["two", "one without a name", "none", "driver without device", "driver that cannot count"],
)
def test_gpus_are_those_that_the_driver_names(monkeypatch, cuda, expected):
    monkeypatch.setattr(gpu.ctypes, "CDLL", {"libcuda.so.1": cuda}.get)
    assert gpu_names() == expected


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    load = ctypes.CDLL
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda name: load(f"/no/such/folder/{name}"))
    assert gpu_names() == []
