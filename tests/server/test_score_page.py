"""The examples of docs/score.md run as they stand, but for their addresses."""

import asyncio
import csv
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pandas as pd
import pytest
import trustme

from readability_triton.cli.samples import sample_passages
from readability_triton.client import Scorer
from readability_triton.serving.server import TritonServer
from tests.client.http_wire import HttpWire
from tests.conftest import WireServer

PAGE = (Path(__file__).parents[2] / "docs" / "score.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def https(authority: trustme.CA) -> Iterator[HttpWire]:
    """What stands at https://api.test."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    server = HttpWire(context)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def grpcs(authority: trustme.CA) -> Iterator[WireServer]:
    """What stands at grpcs://triton.test:8001: it wants a certificate of the client's."""
    own = authority.issue_cert("localhost")
    pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
    server = WireServer(grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), True))
    yield server
    server.server.stop(None).wait()


@pytest.fixture
def desk(tmp_path: Path, authority: trustme.CA) -> Path:
    """A folder with the files that the page names."""
    docx = pytest.importorskip("docx", reason="needs the extra [documents]")
    passages = list(sample_passages().values())
    for name, text in zip(("essay.txt", "chapter1.txt", "chapter2.txt"), passages, strict=False):
        (tmp_path / name).write_text(text)
    for folder in ("essays", "drafts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "essays" / "one.txt").write_text(passages[3])
    draft = docx.Document()
    draft.add_paragraph(passages[4])
    draft.save(str(tmp_path / "drafts" / "two.docx"))
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), (1, passages[5]), (2, ""), (3, passages[6])])
    client = authority.issue_cert("client@triton.test")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "me.pem")
    client.private_key_pem.write_to_path(tmp_path / "me.key")
    return tmp_path


@pytest.fixture
def shell(
    server: TritonServer, https: HttpWire, grpcs: WireServer, desk: Path
) -> Callable[[str], subprocess.CompletedProcess]:
    """Run lines of the page; commands without an address go to the real server."""
    program = desk / "bin" / "readability"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
case "$*" in *--url*) ;; *) set -- "$@" --url {server.grpc_url} ;; esac
exec {sys.executable} -m readability_triton.cli.main "$@"
"""
    )
    program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(desk / "ca.pem"),
    }

    def run(lines: str) -> subprocess.CompletedProcess:
        for stated, real in {
            ".venv/bin/readability": "readability",
            "https://api.test": https.url,
            "grpcs://triton.test:8001": grpcs.url,
        }.items():
            lines = lines.replace(stated, real)
        return subprocess.run(
            ["bash", "-euc", lines], cwd=desk, env=environment, capture_output=True, text=True, timeout=300
        )

    return run


def test_every_command_of_the_page_does_its_work(shell: Callable, desk: Path, https: HttpWire) -> None:
    outputs = [shell(block) for block in blocks("sh")]
    for block, result in zip(blocks("sh"), outputs, strict=True):
        assert (result.returncode, result.stderr.count("readability: ")) == (0, 0), f"{block}\n{result.stderr}"
    assert {row["document"] for row in csv.DictReader((desk / "scores.csv").open(newline=""))} == {
        "essays/one.txt",
        "drafts/two.docx",
    }
    scored = list(csv.DictReader((desk / "scored.csv").open(newline="")))
    assert [(row["id"], bool(row["score"])) for row in scored] == [("1", True), ("2", False), ("3", True)]
    headers = {name.lower(): value for name, value in https.requests[-1][0].items()}
    assert (headers["x-team"], headers["authorization"]) == ("reading", "Bearer my-token")


def test_every_line_of_python_on_the_page_runs(server: TritonServer, capsys: pytest.CaptureFixture[str]) -> None:
    texts = list(sample_passages().values())[:2]
    with Scorer(url=server.grpc_url) as scorer:
        expected = scorer.score(texts).values
        names = {"scorer": scorer, "frame": pd.DataFrame({"text": [texts[0], None, texts[1]]})}
        for code in blocks("python"):
            code = code.replace("Scorer()", f"Scorer(url={server.grpc_url!r})")
            exec(code.replace("http://localhost:8000", server.http_url), names)
            names["scorer"] = names["scorer"] if "AsyncScorer(" in code else scorer
    assert "bls_pipeline" in capsys.readouterr().out
    np.testing.assert_allclose(names["frame"]["score"], [expected[0], np.nan, expected[1]], atol=1e-5)
    assert asyncio.run(names["handler"](texts[0])) == pytest.approx(expected[0], abs=1e-5)
