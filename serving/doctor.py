"""What this machine has for serving, and how to get what is missing."""

import re
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from readability_triton.serving.artefacts import missing_artefacts
from readability_triton.serving.environment import server_environment
from readability_triton.serving.errors import TritonNotFoundError
from readability_triton.serving.gpu import find_gpus, missing_requirements
from readability_triton.serving.placement import Placement
from readability_triton.serving.ports import free_ports
from readability_triton.serving.runtime import Runtime, find_runtime

VERSION_TIMEOUT_S = 30
_VERSION = re.compile(r"server_version\s*\|\s*(\S+)")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        found: what it is.
        advice: what to do, or None where nothing is missing.
    """

    subject: str
    found: str
    advice: str | None = None


def examine(repository: Path) -> list[Finding]:
    """Look at the runtime, its backends, the GPU and the artefacts of `repository`. Takes a second or two."""
    return [*_runtime(), _gpu(repository), _artefacts(repository)]


def triton_version(runtime: Runtime) -> str | None:
    """The version that the server itself reports when it starts on an empty repository; None if it does not start."""
    with tempfile.TemporaryDirectory() as empty:
        command = [
            str(runtime.executable),
            f"--model-repository={empty}",
            "--http-address=127.0.0.1",
            f"--http-port={free_ports(1)[0]}",
            "--allow-grpc=false",
            "--allow-metrics=false",
        ]
        environment = server_environment(runtime, Placement.CPU, Path(empty))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        watchdog = threading.Timer(VERSION_TIMEOUT_S, process.kill)
        watchdog.start()
        try:
            return next((match[1] for line in process.stdout or () if (match := _VERSION.search(line))), None)
        finally:
            watchdog.cancel()
            process.kill()
            process.communicate()


def _runtime() -> list[Finding]:
    try:
        runtime = find_runtime()
    except TritonNotFoundError as error:
        return [Finding("Triton", "none that can be used", str(error))]
    version = triton_version(runtime)
    advice = None if version else f"it does not start: run {runtime.executable} by hand to see why"
    return [
        Finding("Triton", f"{version or 'does not start'}, {runtime.origin}", advice),
        *(Finding(f"backend {name}", _backend(runtime, name)) for name in ("python", "pytorch", "fil")),
    ]


def _backend(runtime: Runtime, name: str) -> str:
    folder = runtime.backends[name]
    return f"drop-in, {folder}" if runtime.is_drop_in(name) else f"native, {folder}"


def _gpu(repository: Path) -> Finding:
    names = [gpu.name for gpu in find_gpus()]
    if not names:
        return Finding("GPU", "none: all models run on the CPU")
    missing = missing_requirements(repository)
    return Finding("GPU", ", ".join(names), f"all models run on the CPU: {'; '.join(missing)}" if missing else None)


def _artefacts(repository: Path) -> Finding:
    missing = missing_artefacts(repository)
    if missing:
        return Finding("artefacts", f"missing: {', '.join(map(str, missing))}", "run `readability build`")
    return Finding("artefacts", f"built, in {repository}")
