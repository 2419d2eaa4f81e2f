"""docs/native-backends.md and docs/gpu.md: every test and file of the project that they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("docs/native-backends.md", "docs/gpu.md")


@pytest.fixture(scope="module")
def names() -> set[str]:
    """All tests."""
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str, names: set[str]) -> None:
    mentioned = set(re.findall(r"`(test_\w+)`", (ROOT / page).read_text(encoding="utf-8")))
    assert mentioned
    files = {file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    assert not mentioned - names - files


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    paths = set(re.findall(r"`((?:tests|stages|serving|bls|containers)/[\w/.-]+)`", (ROOT / page).read_text("utf-8")))
    assert paths
    assert not {path for path in paths if not (ROOT / path).exists()}
