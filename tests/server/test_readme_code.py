"""The README's Python runs as it stands, but for the address."""

import re
from pathlib import Path

import pytest

from readability_triton.serving.server import TritonServer

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_python_prints_two_scores(server: TritonServer, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert "grpc://localhost:8001" in code
    exec(code.replace("grpc://localhost:8001", server.grpc_url), {})
    printed = capsys.readouterr().out
    assert printed.count("bls_pipeline") == 2
