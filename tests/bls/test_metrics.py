"""The tally on Triton's endpoint, with families that only remember."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from readability_triton.bls import metrics
from readability_triton.bls.metrics import Metrics
from readability_triton.bls.tally import KINDS, REQUESTS, ROWS, SAVED, STAGE_SECONDS, Tally

SAFETY_S = 10


class Family:
    """One of Triton's counter families.

    Attributes:
        made: how often a series was made, by its labels.
        total: what each series stands at.
    """

    def __init__(self, name: str, description: str) -> None:
        self.name, self.description = name, description
        self.made: Counter[tuple[Any, ...]] = Counter()
        self.total: Counter[tuple[Any, ...]] = Counter()

    def Metric(self, labels: dict[str, str]) -> "Series":  # noqa: N802
        return Series(self, tuple(labels.items()))


class Series:
    def __init__(self, family: Family, labels: tuple[Any, ...]) -> None:
        family.made[labels] += 1
        self.family, self.labels = family, labels

    def increment(self, amount: float) -> None:
        assert amount >= 0, "Triton refuses this for a counter"
        self.family.total[self.labels] += amount


@pytest.fixture
def families() -> dict[str, Family]:
    return {}


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def reporting(monkeypatch, families, tally) -> Iterator[Metrics]:
    """Metrics whose own thread has all the time in the world."""
    monkeypatch.setattr(metrics, "EVERY_S", 3600)
    made = Metrics(tally, lambda name, description: families.setdefault(name, Family(name, description)))
    yield made
    made.close()


def test_every_kind_of_count_is_a_family_that_says_what_it_counts(reporting, families) -> None:
    assert {name: family.description for name, family in families.items()} == {
        kind.name: kind.description for kind in KINDS
    }


def test_counts_are_told_with_their_label(reporting, families, tally) -> None:
    tally.add(REQUESTS, "cascade", 2)
    tally.add(REQUESTS, "parallel")
    tally.add(SAVED, amount=5)
    reporting.report()
    assert families[REQUESTS.name].total == {(("policy", "cascade"),): 2, (("policy", "parallel"),): 1}
    assert families[SAVED.name].total == {(): 5}
    assert not families[ROWS.name].made


def test_increments_add_up_in_one_series_a_label(reporting, families, tally) -> None:
    for seconds in (0.25, 0.5, 1.0):
        tally.add(STAGE_SECONDS, "cuml", seconds)
        reporting.report()
    reporting.report()
    assert families[STAGE_SECONDS.name].total == {(("stage", "cuml"),): 1.75}
    assert families[STAGE_SECONDS.name].made == {(("stage", "cuml"),): 1}


def test_closing_reports_the_rest_and_ends_the_thread(reporting, families, tally) -> None:
    tally.add(ROWS, "cuml", 7)
    assert [thread for thread in threading.enumerate() if thread.name == "metrics"]
    reporting.close()
    assert families[ROWS.name].total == {(("route", "cuml"),): 7}
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics"]


def test_the_thread_tells_by_itself(monkeypatch, families, tally) -> None:
    monkeypatch.setattr(metrics, "EVERY_S", 0.01)
    made = Metrics(tally, lambda name, description: families.setdefault(name, Family(name, description)))
    try:
        for number in range(1, 4):
            tally.add(ROWS, "cuml")
            deadline = time.monotonic() + SAFETY_S
            while families[ROWS.name].total[(("route", "cuml"),)] < number:
                assert time.monotonic() < deadline
                time.sleep(0.005)
    finally:
        made.close()
    assert families[ROWS.name].total == {(("route", "cuml"),): 3}
