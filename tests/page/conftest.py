"""The page over a stand-in for the pipelines."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="needs the extra: pip install 'readability-triton[page]'")

from readability_triton.page.app import make_app
from readability_triton.page.server import listen, serving
from tests.page.browser import chromium, tab  # noqa: F401 - fixtures
from tests.page.stand_in import StandIn

SAMPLES = {"01-first": "A cat sat.", "02-second": "The foregoing notwithstanding, it is void."}


@pytest.fixture
def pipelines() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.may_answer.set()
    stand_in.may_end.set()


@pytest.fixture
def address(pipelines: StandIn) -> Iterator[str]:
    """Of the page, served on a free port."""
    with closing(listen("127.0.0.1", 0)) as listening, serving(make_app(pipelines, SAMPLES), listening) as address:
        yield address


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    file = tmp_path / "letter.txt"
    file.write_text("Dear cat. Considerable extraordinary circumstances notwithstanding.\n")
    return file
