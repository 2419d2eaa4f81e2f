"""`readability page` without a server: help, usage, a port that is taken. With one: tests/server/test_page.py."""

import socket
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main
from readability_triton.cli.page import Asked, _page_of
from readability_triton.page.server import listen
from tests.page.asking import get
from tests.page.stand_in import StandIn


def _has_ipv6() -> bool:
    try:
        listen("::1", 0).close()
    except OSError:
        return False
    return True


HAS_IPV6 = _has_ipv6()


def run(*arguments: str):
    return CliRunner().invoke(main, ["page", *arguments])


def test_help_has_examples_and_exit_codes():
    result = run("--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert "Exit codes:" in result.output
    assert all(len(line) <= 122 for line in result.output.splitlines())


@pytest.mark.parametrize("host", ["0.0.0.0", "0", "0.0", "", "::", "0::0", "::ffff:0.0.0.0"])
def test_every_address_at_once_is_refused(host):
    if ":" in host and not HAS_IPV6:
        pytest.skip("this machine has no IPv6 loopback")
    result = run("--url", "grpc://127.0.0.1:1", "--port", "0", "--host", host)
    assert (result.exit_code, "name the address" in result.output) == (2, True)


def test_a_port_that_is_taken_is_one_line():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        result = run("--url", "grpc://127.0.0.1:1", "--port", str(port))
    assert result.exit_code == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("options", [["--url", "http://127.0.0.1:8000"], ["--host", "192.0.2.1", "--url", "a:1"]])
def test_an_address_that_cannot_be_used_is_one_line(options):
    result = run("--port", "0", *options)
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert result.output.startswith("readability: ")


@pytest.mark.parametrize("option", [["--port", "65536"], ["--timeout", "0"], ["--header", "x"]])
def test_impossible_options_are_exit_code_2(option):
    assert run("--url", "a:1", *option).exit_code == 2


@pytest.mark.parametrize(("host", "bound"), [("127.2", "127.0.0.2"), ("localhost", "127.0.0.1"), ("0::1", "[::1]")])
def test_the_address_that_is_printed_is_answered(host, bound, capsys):
    if ":" in host and not HAS_IPV6:
        pytest.skip("this machine has no IPv6 loopback")
    options = dict.fromkeys(("ca", "certificate", "key", "token", "compression", "url"))
    asked = Asked(
        **options, headers=(), host=host, port=0, open_browser=False, timeout=1.0, model_repository=Path("nowhere")
    )
    with _page_of(asked, StandIn()):
        address = capsys.readouterr().out.strip()
        assert address.startswith(f"http://{bound}:")
        assert get(address, "api/setup").status == 200
        assert get(address, "api/setup", Host=host if ":" not in host else f"[{host}]").status == 200
        assert get(address, "api/setup", Host="evil.example").status == 400
