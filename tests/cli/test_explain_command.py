"""`readability explain` without a server: usage and exit codes. With one: tests/server/explain."""

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main
from readability_triton.serving.ports import free_ports


@pytest.fixture
def explain():
    url = f"grpc://127.0.0.1:{free_ports(1, '127.0.0.1')[0]}"
    return lambda *arguments, url=url: CliRunner().invoke(main, ["explain", *arguments, "--url", url])


def test_help_has_examples_and_exit_codes():
    result = CliRunner().invoke(main, ["explain", "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert "Exit codes:" in result.output
    assert all(len(line) <= 122 for line in result.output.splitlines())


def test_no_server_is_exit_code_3(explain):
    result = explain("m")
    assert (result.exit_code, "no server at" in result.output) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", "b", "c"], "one or two models"),
        (["hybrid"], "one or two models of a server"),
        (["a", "--text", "x", "--input-data", __file__], "exclude one another"),
        (["?x=1"], "names no model"),
    ],
)
def test_bad_arguments_are_one_line(explain, arguments, why):
    result = explain(*arguments)
    assert result.exit_code == 1
    assert why in result.output
    assert "Traceback" not in result.output


def test_an_http_address_is_refused(explain):
    result = explain("m", url="http://127.0.0.1:1")
    assert (result.exit_code, "not a gRPC address" in result.output) == (1, True)


@pytest.mark.parametrize("option", [["--requests", "0"], ["--concurrency", "0"], ["--against", "/nowhere"]])
def test_impossible_options_are_exit_code_2(explain, option):
    assert explain("m", *option).exit_code == 2
