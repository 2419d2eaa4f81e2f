"""Checks of Python models: the stub's Python, NumPy, imports that the container lacks, shared memory."""

import math
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tritonclient.grpc.model_config_pb2 import DataType
from tritonclient.utils import triton_to_np_dtype

from readability_triton.containers.finding import WHOLE, Finding, error, note
from readability_triton.containers.imports import imported
from readability_triton.containers.release import Release, facts, since
from readability_triton.containers.repository import MODEL_DIRECTORY, STUB, Model

STUB_SOURCE = "server docs/introduction/compatibility.md; python_backend README, Building Custom Python Backend Stub"
IMAGE_SOURCE = "server build.py"
OWN = ("triton_python_backend_utils", "c_python_backend_utils")
STRING_BYTES = 1
"""Of a STRING element, at least."""

_PYTHON = re.compile(r"(?:^|/)lib/python(\d+\.\d+)/")
_NUMPY = re.compile(r"/numpy-(\d[^/]*?)\.dist-info(?:/|$)")
_COMPILED = re.compile(r"\.cpython-(\d)(\d+)-")


def check(model: Model, release: Release, installed: frozenset[str]) -> Iterator[Finding]:
    """All checks of one Python model.

    Args:
        model: of the Python backend.
        release: the container.
        installed: packages by the names under which they are imported that the image has besides the container's.
    """
    names = _names_in(model.environment) if model.environment else []
    yield from _python(model, names, release)
    yield from _numpy(model, names, release)
    yield from _environment(model)
    yield from _imports(model, names, installed)


def shared_memory(models: Sequence[Model]) -> Iterator[Finding]:
    """How much shared memory the Python models of a repository take at least."""
    image = facts()["image"]
    needed = math.ceil(sum(_megabytes(model) for model in models if model.is_python))
    limit = image["docker_shared_memory_mb"]
    if not needed:
        return
    text = f"Python models take at least {needed} MB of shared memory; Docker gives {limit} unless --shm-size says more"
    source = "python_backend README, shm-default-byte-size"
    yield (error if needed > limit else note)(WHOLE, text, source)


def _python(model: Model, names: Sequence[str], release: Release) -> Iterator[Finding]:
    if model.has_own_stub:
        return
    compiled = {
        ".".join(match.groups()) for file in model.folder.rglob("*.so") if (match := _COMPILED.search(file.name))
    }
    brought = {match[1] for name in names if (match := _PYTHON.search(name))} | compiled
    if not brought:
        return
    if not release.python:
        yield note(model.name, f"the Python of {release.name}'s stub is not known here", STUB_SOURCE)
    for version in sorted(brought - {release.python} if release.python else set()):
        text = (
            f"it brings modules of Python {version}, the stub of {release.name} is Python {release.python}: "
            f"build them for that, or put a {STUB} for {version} into the model's folder"
        )
        yield error(model.name, text, STUB_SOURCE)


def _numpy(model: Model, names: Sequence[str], release: Release) -> Iterator[Finding]:
    two = since("numpy_2_in_environments")
    versions = {match[1] for name in names if (match := _NUMPY.search(name))}
    for version in sorted(versions):
        if int(version.partition(".")[0]) >= 2 and not release.is_at_least(two.release):
            text = (
                f"its environment has NumPy {version}: the stub crashes on STRING tensors before {two.release}; numpy<2"
            )
            yield error(model.name, text, two.source)


def _environment(model: Model) -> Iterator[Finding]:
    if (
        model.environment
        and not model.environment.exists()
        and MODEL_DIRECTORY in model.parameters["EXECUTION_ENV_PATH"]
    ):
        yield error(model.name, f"its execution environment is not there: {model.environment}", "python_backend README")


def _names_in(environment: Path) -> list[str]:
    """Files of an execution environment: of an archive, or of a folder."""
    if environment.is_dir():
        return [str(path.relative_to(environment)) for path in environment.glob("lib/python*/site-packages/*")]
    try:
        with tarfile.open(environment) as archive:
            return archive.getnames()
    except (OSError, tarfile.TarError):
        return []


def _imports(model: Model, names: Sequence[str], installed: frozenset[str]) -> Iterator[Finding]:
    local = {file.stem for file in model.sources} | {file.parent.name for file in model.sources}
    has = {*sys.stdlib_module_names, *facts()["image"]["packages"], *OWN, *local, *installed, *_packages(names)}
    at_once, anywhere = (imported(model.sources, when_loaded) for when_loaded in (True, False))
    fix = "put it into the image (--with says that it is there) or into EXECUTION_ENV_PATH"
    for name in sorted(at_once - has):
        yield error(model.name, f"it imports {name}, which the container does not have: {fix}", IMAGE_SOURCE)
    for name in sorted(anywhere - at_once - has):
        text = f"a function imports {name}, which the container does not have: {fix} if it is called"
        yield note(model.name, text, IMAGE_SOURCE)


def _packages(names: Sequence[str]) -> set[str]:
    """What an environment can import."""
    parts = (name.rpartition("site-packages/")[2] for name in names if "site-packages/" in name)
    return {part.partition("/")[0].partition(".")[0] for part in parts}


def _megabytes(model: Model) -> float:
    """Regions of the instances, and the tensors of one request of the largest batch, variable dimensions as 1."""
    instances = sum(group.count or 1 for group in model.config.instance_group) or 1
    rows = max(1, model.config.max_batch_size)
    size = sum(
        rows * math.prod(max(1, dim) for dim in tensor.dims) * _bytes(tensor.data_type)
        for tensor in (*model.config.input, *model.config.output)
    )
    return instances * facts()["image"]["instance_shared_memory_mb"] + size / 2**20


def _bytes(data_type: int) -> int:
    dtype = triton_to_np_dtype(DataType.Name(data_type).removeprefix("TYPE_"))
    return STRING_BYTES if dtype is None else int(np.dtype(dtype).itemsize)
