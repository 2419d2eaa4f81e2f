"""A script in Triton's place."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def fake_tritonserver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a Python script in `tritonserver`'s place on the path."""

    def install(script: str) -> None:
        backend = tmp_path / "triton" / "backends" / "python"
        backend.mkdir(parents=True)
        (backend / "libtriton_python.so").touch()
        executable = tmp_path / "triton" / "bin" / "tritonserver"
        executable.parent.mkdir()
        executable.write_text(f"#!{sys.executable}\n{script}")
        executable.chmod(stat.S_IRWXU)
        monkeypatch.setenv("PATH", str(executable.parent), prepend=os.pathsep)

    return install
