"""Every command that asks a server can use certificates, headers and a token, and says when access is refused."""

import json
import pickle
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from readability_triton.cli.main import COMMANDS, main
from readability_triton.client.access import Access
from readability_triton.client.errors import AccessDeniedError, ForkedProcessError
from readability_triton.client.scorer import Scorer
from tests.client.http_wire import HttpWire
from tests.conftest import WireServer

ACCESS = {"ca", "certificate", "key", "headers", "token", "compression"}


def run(*arguments: object, **options) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], **options)


def test_every_command_that_takes_an_address_takes_access() -> None:
    context = main.make_context("readability", [], resilient_parsing=True)
    with_url = {}
    for name in COMMANDS:
        command = main.get_command(context, name)
        names = {parameter.name for parameter in command.params}
        if any("--url" in parameter.opts for parameter in command.params):
            with_url[name] = names
    assert {"bulk", "capacity", "compare", "explain", "score", "watch"} <= with_url.keys()
    assert {name: ACCESS - names for name, names in with_url.items()} == {name: set() for name in with_url}


class _Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(self.headers)
        page = b'bls_shadows_total{outcome="same"} 3000.0\n'
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def metrics(authority: trustme.CA) -> Iterator[HTTPServer]:
    """An endpoint with TLS that remembers the headers of its requests in `seen`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    server = HTTPServer(("localhost", 0), _Metrics)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.seen = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_watch_reads_metrics_behind_tls_with_headers_and_a_token(metrics: HTTPServer, ca: Path) -> None:
    url = f"https://localhost:{metrics.server_port}/metrics"
    result = run(
        *("watch", "--url", url, "--ca", ca, "--header", "X-Team: reading", "--measures", "wrong", "--json"),
        env={"READABILITY_TOKEN": "secret"},
    )
    assert (result.exit_code, json.loads(result.stdout)["verdict"]) == (0, "no worse")
    (headers,) = metrics.seen
    assert (headers["X-Team"], headers["Authorization"]) == ("reading", "Bearer secret")


def test_watch_trusts_no_unknown_authority(metrics: HTTPServer) -> None:
    result = run("watch", "--url", f"https://localhost:{metrics.server_port}/metrics")
    assert result.exit_code == 3
    assert "certificate verify failed" in result.stderr


def test_the_models_of_a_bulk_job_carry_access_to_its_actors(wire: WireServer) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra [documents] or [bulk]")
    from readability_triton.bulk.worker import Models

    seen = []
    wire.on_metadata = lambda metadata: seen.append(dict(metadata))
    models = Models(Path(), (wire.url,), 1.0, access=Access(token="secret", headers={"X-Team": "reading"}))
    assert pickle.loads(pickle.dumps(models)).load().score(["Yes."]).values.tolist() == [4.0]
    assert {(each["x-team"], each["authorization"]) for each in seen} == {("reading", "Bearer secret")}


@pytest.mark.parametrize(
    "command",
    [("compare",), ("explain",), ("capacity", "--slo", "p99=100ms"), ("watch", "log.jsonl")],
    ids=lambda command: command[0],
)
def test_access_without_an_address_is_bad_usage(command: tuple[str, ...]) -> None:
    result = run(*command, "--header", "X-Team: reading")
    assert result.exit_code == 2
    assert "need --url" in result.output


@pytest.mark.parametrize(("status", "body"), [(401, b"<html>Sign in</html>"), (403, b'{"error": "wrong key"}')])
def test_a_refusal_of_access_has_an_exit_code_of_its_own(status: int, body: bytes) -> None:
    server = HttpWire()
    server.page = status, body
    try:
        result = run("score", "--url", server.url, input="Yes.")
    finally:
        server.stop()
    assert (result.exit_code, result.stdout) == (8, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"readability: {server.url} refuses access: ")


@pytest.mark.parametrize(("error", "code"), [(AccessDeniedError, 8), (ForkedProcessError, 1)])
@pytest.mark.parametrize("of_a_table", [False, True], ids=["files", "table"])
def test_errors_without_a_text_at_fault_end_the_command_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[Exception], code: int, of_a_table: bool
) -> None:
    def refuse(scorer: Scorer, *arguments: object, **options: object) -> None:
        raise error("why")

    monkeypatch.setattr(Scorer, "score", refuse)
    table = tmp_path / "t.csv"
    table.write_text("text\nYes.\n")
    arguments = ("--column", "text", "--output", tmp_path / "out.csv", table) if of_a_table else (table,)
    result = run("score", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[-1] == "readability: why"
