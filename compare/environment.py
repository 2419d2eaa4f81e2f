"""Everything about where a comparison ran that could matter to its figures."""

import importlib.metadata
import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from readability_triton.compare.arm import HYBRID, Arm
from readability_triton.compare.machine import describe_machine

PACKAGES = ("readability-triton", "numpy", "scipy", "torch", "tokenizers", "treelite", "tritonclient", "grpcio")
HYBRID_MODELS = ("bert-large", "cuml")


async def describe_environment(client: InferenceServerClient, url: str, arms: Iterable[Arm]) -> dict[str, Any]:
    """Machine, GPU, versions, the server, and the configuration of every model that an arm makes use of."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "client_machine": describe_machine(),
        "gpu": _gpus(),
        "packages": {name: _version(name) for name in PACKAGES},
        "url": url,
        "server": await client.get_server_metadata(as_json=True),
        "models": await _configs(client, arms),
    }


async def _configs(client: InferenceServerClient, arms: Iterable[Arm]) -> dict[str, Any]:
    """The arms' models, those that an ensemble names, and, as what BLS calls is not known, all that are ready."""
    wanted = [name for arm in arms for name in (HYBRID_MODELS if arm.model == HYBRID else (arm.model,))]
    statistics = await client.get_inference_statistics(as_json=True)  # the repository's index may be closed to clients
    wanted += [model["name"] for model in statistics.get("model_stats", [])]
    configs: dict[str, Any] = {}
    for name in dict.fromkeys(wanted):
        try:
            configs[name] = (await client.get_model_config(name, as_json=True))["config"]
        except InferenceServerException as error:
            configs[name] = {"error": error.message()}
    return configs


def _gpus() -> list[str]:
    executable = shutil.which("nvidia-smi")
    if executable is None:
        return []
    listed = subprocess.run([executable, "-L"], capture_output=True, text=True, timeout=30, check=False)
    return [line for line in listed.stdout.splitlines() if line.startswith("GPU")]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def one_line(environment: Mapping[str, Any]) -> str:
    """Machine, GPU and server, for tables."""
    server = environment["server"]
    gpu = ", ".join(environment["gpu"]) or "no GPU"
    return f"{environment['client_machine']}, {gpu}; {server.get('name', 'server')} {server.get('version', '')}"


def to_json(environment: Mapping[str, Any]) -> str:
    """For reading in a report."""
    return json.dumps(environment, indent=1, sort_keys=False)
