"""The README does not lie: its picture is the repository's, its commands and links exist."""

import re
from pathlib import Path

import pytest

from readability_triton.cli.main import COMMANDS
from readability_triton.ensemble.config import read_config
from readability_triton.ensemble.dag import Dag
from readability_triton.ensemble.draw import as_mermaid

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_the_picture_is_what_graph_draws() -> None:
    drawn = as_mermaid(Dag.of(read_config(ROOT / "model_repository" / "ensemble_all" / "config.pbtxt")))
    assert f"```mermaid\n{drawn}\n```" in (ROOT / "README.md").read_text()


@pages
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(), re.MULTILINE)) <= targets


@pages
def test_commands_exist(page: Path) -> None:
    assert set(re.findall(r"readability ([a-z]+)", page.read_text())) <= COMMANDS.keys()


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
