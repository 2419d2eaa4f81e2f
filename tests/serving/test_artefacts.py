from pathlib import Path

import pytest

from readability_triton.serving.artefacts import ARTEFACTS, missing_artefacts


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """All artefacts, empty."""
    for path in ARTEFACTS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def test_a_built_repository_misses_nothing(repository):
    assert missing_artefacts(repository) == []


@pytest.mark.parametrize("path", ARTEFACTS, ids=str)
def test_a_missing_artefact_is_reported_by_its_place_in_the_repository(repository, path):
    (repository / path).unlink()
    assert missing_artefacts(repository) == [path]


def test_a_folder_in_an_artefacts_place_does_not_count(repository):
    (repository / "bert-large/1/model.pt").unlink()
    (repository / "bert-large/1/model.pt").mkdir()
    assert missing_artefacts(repository) == [Path("bert-large/1/model.pt")]


def test_somebodys_own_repository_misses_nothing(tmp_path):
    (tmp_path / "their-model" / "1").mkdir(parents=True)
    assert missing_artefacts(tmp_path) == []
