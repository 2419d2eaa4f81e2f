import ctypes
import importlib.metadata
import zipfile

import pytest

from readability_triton.serving import gpu
from readability_triton.serving.gpu import LEAST_BYTES, Gpu, find_gpus, missing_requirements
from readability_triton.stages.precision import NOTE

OK, NO_DEVICE = 0, 100


class FakeCuda:
    """The four calls of the driver that are made, for GPUs of these names; None is one without a name."""

    def __init__(
        self,
        names: list[str | None],
        init: int = OK,
        count: int = OK,
        memory: int = 80 << 30,
        capability: tuple[int, int] = (9, 0),
    ) -> None:
        self.names, self.init, self.count, self.memory = names, init, count, memory
        self.capability = dict(zip(gpu.CAPABILITY_ATTRIBUTES, capability, strict=True))

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

    def cuDeviceGetAttribute(self, number, attribute: ctypes.c_int, ordinal: ctypes.c_int) -> int:  # noqa: N802
        if self.names[ordinal.value] is None:
            return NO_DEVICE
        number._obj.value = self.capability[attribute.value]
        return OK

    def cuDeviceTotalMem_v2(self, size, ordinal: ctypes.c_int) -> int:  # noqa: N802
        if self.names[ordinal.value] is None:
            return NO_DEVICE
        size._obj.value = self.memory
        return OK


@pytest.fixture
def driver(monkeypatch):
    """Put this driver, or none, where the real one would be."""
    load = ctypes.CDLL

    def put(cuda: FakeCuda | None) -> None:
        found = (lambda name: cuda) if cuda else (lambda name: load(f"/no/such/folder/{name}"))
        monkeypatch.setattr(gpu.ctypes, "CDLL", found)

    return put


@pytest.mark.parametrize(
    ("cuda", "expected"),
    [
        (FakeCuda(["NVIDIA H100 80GB HBM3", "NVIDIA T4"]), ["NVIDIA H100 80GB HBM3", "NVIDIA T4"]),
        (FakeCuda(["NVIDIA T4", None]), ["NVIDIA T4", "GPU 1"]),
        (FakeCuda([]), []),
        (FakeCuda(["hidden"], init=NO_DEVICE), []),
        (FakeCuda(["unreadable"], count=NO_DEVICE), []),
        (None, []),
    ],
    ids=["two", "one without a name", "none", "driver without device", "driver that cannot count", "no driver"],
)
def test_gpus_are_those_that_the_driver_names(driver, cuda, expected):
    driver(cuda)
    assert [found.name for found in find_gpus()] == expected


def test_a_gpu_has_the_memory_that_the_driver_says_or_nothing_is_known_of_it(driver):
    driver(FakeCuda(["NVIDIA T4", None], memory=16 << 30))
    assert find_gpus() == [Gpu("NVIDIA T4", 16 << 30, (9, 0)), Gpu("GPU 1", 0, (0, 0))]


@pytest.fixture
def packages(monkeypatch):
    """Have only these packages, and a PyTorch with CUDA or without."""

    def have(*names: str, cuda: str | None = "13.0") -> None:
        monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: name if name in names else None)
        monkeypatch.setattr("torch.version.cuda", cuda)

    return have


def test_without_a_gpu_nothing_else_is_asked(driver, packages, tmp_path):
    driver(None)
    packages(cuda=None)
    assert missing_requirements(tmp_path) == ["no NVIDIA GPU or no driver here"]


def test_where_all_is_there_nothing_is_missing(driver, packages, tmp_path):
    driver(FakeCuda(["NVIDIA H100"], memory=LEAST_BYTES))
    packages(*gpu.PACKAGES, "nvforest")
    assert missing_requirements(tmp_path) == []


def test_whatever_is_missing_is_named(driver, packages, tmp_path):
    driver(FakeCuda(["NVIDIA T4"], memory=LEAST_BYTES // 2))
    packages("cupy", "rmm", cuda=None)
    small, missing, torch = missing_requirements(tmp_path)
    assert small == "GPU 0 (NVIDIA T4) has 4.0 GiB of memory, 8 are needed"
    assert missing == "not installed: cudf, nvforest or cuml (`pip install .[gpu]`)"
    assert torch == "this PyTorch is built without CUDA"


@pytest.mark.parametrize(
    ("runtime", "compiler", "fits"),
    [("13.0.96", "13.0.88", True), ("13.5.1", "13.0.88", False), ("14.0.1", "13.0.1", False), (None, "13.0.88", True)],
)
def test_cuda_headers_of_another_version_than_the_compiler_are_named(
    driver, packages, monkeypatch, tmp_path, runtime, compiler, fits
):
    def version(name: str) -> str:
        found = {gpu.CUDA_RUNTIME: runtime, gpu.NVRTC: compiler}[name]
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    driver(FakeCuda(["NVIDIA H100"]))
    packages(*gpu.PACKAGES, "nvforest")
    monkeypatch.setattr(gpu.importlib.metadata, "version", version)
    found = missing_requirements(tmp_path)
    if fits:
        assert found == []
    else:
        assert found == [
            f"CuPy cannot compile: nvidia-cuda-runtime is {runtime}, nvidia-cuda-nvrtc {compiler}; "
            "install both of one minor version"
        ]


@pytest.mark.parametrize(
    ("precision", "capability", "expected"),
    [
        ("bf16", (7, 5), []),
        ("int8", (9, 0), ["the encoder is built in int8, which only the CPU computes"]),
        ("fp8", (9, 0), []),
        ("fp8", (8, 9), []),
        (
            "fp8",
            (8, 6),
            ["GPU 0 (NVIDIA A10) does not multiply fp8, in which the encoder is built: compute capability 8.6"],
        ),
    ],
)
def test_an_encoder_that_a_gpu_cannot_compute_is_named(driver, packages, tmp_path, precision, capability, expected):
    driver(FakeCuda(["NVIDIA A10"], capability=capability))
    packages(*gpu.PACKAGES, "nvforest")
    (tmp_path / "bert-large" / "1").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "bert-large" / "1" / "model.pt", "w") as file:
        file.writestr(f"model/extra/{NOTE}", precision)
    for line, start in zip(missing_requirements(tmp_path), expected, strict=True):
        assert line.startswith(start)
        assert "readability build" in line
