"""The page on adding a policy, followed step by step in a copy of the project: write the files, test, serve, ask."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.scorer import Scorer
from readability_triton.serving.repository import copy_repository, default_repository
from readability_triton.stages import encoder, tokens
from readability_triton.stages.pipeline import InProcessPipeline

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "policies.md"
TEXTS = list(sample_passages().values())
PACKAGE = "readability_triton"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the page's two files in it; what is large or built is linked."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / PACKAGE, root / PACKAGE, symlinks=True)
    for folder in (*(link.name for link in (ROOT / PACKAGE).iterdir() if link.is_symlink()), "tests/bls"):
        copy_repository(ROOT / folder, root / folder)
    for path, code in files_of_the_page().items():
        (root / path).write_text(code)
    return root


def files_of_the_page() -> dict[str, str]:
    """The code blocks of the section, each by the last path that is named before it."""
    section = PAGE.read_text().partition("\n## Add one\n")[2].partition("\n## ")[0]
    before, *blocks = re.split(r"```python\n", section)
    files = {}
    for block in blocks:
        code, _, after = block.partition("```")
        files[re.findall(r"`((?:bls|tests)/[\w/]+\.py)`", before)[-1]] = code
        before = after
    return files


@pytest.fixture(scope="module")
def url(copy: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "readability_triton.cli.main",
        "serve",
        "--http-port",
        "0",
        "--grpc-port",
        "0",
        "--metrics-port",
        "0",
    ]
    with subprocess.Popen(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        addresses = dict(process.stdout.readline().split() for _ in range(3))
        yield addresses["grpc"]
        process.terminate()


def test_the_page_has_a_policy_and_its_test() -> None:
    assert list(files_of_the_page()) == ["bls/policies/skim.py", "tests/bls/policies/test_skim.py"]


def test_its_test_passes(copy: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "tests/bls/policies/test_skim.py"]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout


def test_served_it_does_what_it_says(url: str) -> None:
    truth = InProcessPipeline(default_repository())
    ids, mask = tokens.tokenize(TEXTS, truth.tokenizer)
    read = np.ceil(mask.sum(axis=1, keepdims=True) * 0.5)
    halves = encoder.predict(truth.encoder, ids, mask * (np.arange(mask.shape[1]) < read))
    with Scorer(url=url, fallback=None, parameters={"policy": "skim"}, details=True) as scorer:
        scores = scorer.score(TEXTS, 1.0)
    np.testing.assert_allclose(scores.values, halves[:, 0], atol=1e-5)
    with Scorer(url=url, fallback=None, parameters={"policy": "skim", "share": 1.0}) as scorer:
        np.testing.assert_allclose(scorer.score(TEXTS, 1.0).values, truth.bert(TEXTS)[:, 0], atol=1e-5)


def test_its_setting_is_checked_as_those_of_any_policy(url: str) -> None:
    with (
        Scorer(url=url, fallback=None, parameters={"policy": "skim", "part": 1}) as scorer,
        pytest.raises(Exception, match="takes no parameter 'part'; it takes share"),
    ):
        scorer.score(TEXTS)
