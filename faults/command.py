"""`readability serve`, as a person or a service manager runs it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

FREE_PORTS = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


@dataclass(frozen=True)
class Served:
    """A running command.

    Attributes:
        process: the command's, not Triton's.
        urls: its addresses: `http`, `grpc`, `metrics`; empty if it ended instead.
        errors: what it writes to standard error.
    """

    process: "subprocess.Popen[str]"
    urls: dict[str, str]
    errors: IO[str]

    def said(self) -> str:
        """Standard error so far."""
        self.errors.seek(0)
        return self.errors.read()


@contextmanager
def serving(repository: Path, wrapper: Sequence[str] = ()) -> Iterator[Served]:
    """Run the command until it prints its addresses, or ends; end it with the block.

    Args:
        repository: the model repository.
        wrapper: a program and its arguments that run the command, such as `nice`.
    """
    command = [
        sys.executable,
        "-m",
        "readability_triton.cli.main",
        "serve",
        *FREE_PORTS,
        "--model-repository",
        str(repository),
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C is ours to handle: the command is stopped in order.
        )
        try:
            yield Served(process, _addresses(process), errors)
        finally:
            _end(process)


def _addresses(process: "subprocess.Popen[str]") -> dict[str, str]:
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(3)]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
