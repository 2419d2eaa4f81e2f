"""`readability page` without a server: help, usage, a port that is taken. With one: tests/server/test_page.py."""

import socket
from contextlib import closing

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main
from readability_triton.page.server import _address, listen


def run(*arguments: str):
    return CliRunner().invoke(main, ["page", *arguments])


def test_help_has_examples_and_exit_codes():
    result = run("--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert "Exit codes:" in result.output
    assert all(len(line) <= 122 for line in result.output.splitlines())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_every_address_at_once_is_refused(host):
    result = run("--host", host)
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


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_one_for_a_browser():
    try:
        listening = listen("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with closing(listening):
        assert _address(listening).startswith("http://[::1]:")
