import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from readability_triton.cli.main import COMMANDS, main


def run(*arguments: str):
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_command_with_what_it_does(flag):
    result = run(flag)
    assert result.exit_code == 0
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    for name, does in COMMANDS.items():
        assert [name, does] in lines


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_examples_or_exit_codes(name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {name}")
    assert "Examples:" in result.stdout or "Exit codes:" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text_or_a_telling_default(name):
    command = main.get_command(click.Context(main), name)
    for option in (each for each in command.params if isinstance(each, click.Option)):
        assert option.help or option.show_default, f"{name} {option.opts}"


@pytest.mark.parametrize("arguments", [("scores",), ("score", "--no-such-option"), ("graph", "--format", "svg")])
def test_bad_usage_is_exit_code_2_with_nothing_on_standard_output(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_the_version_is_reported():
    result = run("--version")
    assert result.exit_code == 0
    assert "0.1.0" in result.stdout


def test_scoring_does_not_wait_for_what_only_training_needs():
    late = {"torch", "transformers", "sklearn"}
    program = f"import sys, readability_triton.cli.score; print(sorted({late} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
