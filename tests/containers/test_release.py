"""The data on releases, and how releases compare."""

import pytest

from readability_triton.containers.release import UnknownReleaseError, facts, find_release, known_releases, since
from readability_triton.containers.repository import traits


def test_releases_are_ordered_by_month_and_every_month_is_there() -> None:
    months = [f"{year}.{month:02}" for year in (24, 25, 26) for month in range(1, 13)]
    assert known_releases() == months[months.index("24.10") : months.index("26.11") + 1]


def test_a_release_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownReleaseError, match=r"release '24\.09' is not known; known are 24\.10 to 26\.11"):
        find_release("24.09")


def test_a_release_has_what_came_with_it_or_before() -> None:
    assert not find_release("26.02").has("torch_aoti")
    assert find_release("26.03").has("torch_aoti")
    assert find_release("26.11").has("torch_aoti")


@pytest.mark.parametrize("name", facts()["since"])
def test_every_since_names_a_known_release_and_a_source(name: str) -> None:
    assert since(name).release in known_releases()
    assert since(name).source


def test_every_fix_and_change_is_complete_and_concerns_something_that_can_be_found(repository) -> None:
    words = {"any", "python", "bls", "async_exec", "python_on_gpu", "execution_environment", "ensemble"}
    words |= {"ensemble_queue", "dynamic_batching", "preserve_ordering", "cache"}
    for entry in [*facts()["fixes"], *facts()["changes"]]:
        assert entry["concerns"] in words
        assert entry.get("first", entry.get("from")) in known_releases()
        assert entry["what"]
        assert entry["source"]
    assert traits([]) == {"any"}
