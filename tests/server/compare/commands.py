"""Commands as a person runs them: in a process of their own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

READABILITY = [sys.executable, "-m", "readability_triton.cli.main"]


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen:
    command = [*READABILITY, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def run(*arguments: str | Path) -> tuple[int, str, str]:
    process = start(*arguments)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err
