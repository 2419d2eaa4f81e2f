"""Describe the machine that figures were measured on."""

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Processor, cores that this process may use, and Python."""
    return f"{_processor()}, {n_cores()} cores, Python {platform.python_version()}"


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return models[0] if models else platform.machine()
