"""`readability doctor --for`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main

CONFIG = """backend: "fil" max_batch_size: 8
input [ { name: "input__0" data_type: TYPE_FP32 dims: [ 5 ] } ]
output [ { name: "output__0" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ 1 ] } } ]
parameters: { key: "is_classifier" value: { string_value: "false" } }
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "forest" / "1").mkdir(parents=True)
    (tmp_path / "forest" / "config.pbtxt").write_text(CONFIG)
    return tmp_path


def run(*arguments: str | Path):
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def test_nothing_to_fix_is_exit_code_0(repository: Path) -> None:
    result = run("--for", "26.07", "--model-repository", repository)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("Triton 2.71.0 (26.07): nothing to fix, ")


def test_something_to_fix_is_exit_code_1_with_a_line_and_its_source(repository: Path) -> None:
    result = run("--for", "25.08", "--model-repository", repository)
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "✗ forest: parameter output_class is required; is_classifier is read from 25.09 on ["
    )
    assert "CVE-2026-24207" in result.stdout
    assert "[NVIDIA security bulletin 5828]" in result.stdout
    assert "Triton 2.60.0 (25.08): 3 to fix, " in result.stdout


def test_a_package_that_the_image_adds_is_not_missing(repository: Path) -> None:
    (repository / "some" / "1").mkdir(parents=True)
    (repository / "some" / "config.pbtxt").write_text('backend: "python"')
    (repository / "some" / "1" / "model.py").write_text("import cupy")
    assert run("--for", "26.07", "--model-repository", repository).exit_code == 1
    assert run("--for", "26.07", "--with", "cupy", "--model-repository", repository).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--for", "24.09"], "release '24.09' is not known; known are 24.10 to 26.11"),
        (["--with", "cupy"], "--with needs --for"),
    ],
)
def test_bad_usage_is_exit_code_2(repository: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments, "--model-repository", repository)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("spoiled", ["config.pbtxt", "1/model.py"])
def test_a_repository_that_cannot_be_read_is_one_line(repository: Path, spoiled: str) -> None:
    (repository / "forest" / "config.pbtxt").write_text('backend: "python"')
    (repository / "forest" / spoiled).write_text("not {")
    result = run("--for", "26.07", "--model-repository", repository)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("readability: ")


def test_help_has_examples() -> None:
    assert "readability doctor --for 24.10 --model-repository /srv/models" in run("--help").stdout
