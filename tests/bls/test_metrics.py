"""The tally on Triton's endpoint, with families that only remember."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from readability_triton.bls import metrics
from readability_triton.bls.metrics import IN_FLIGHT, QUEUED, Metrics
from readability_triton.bls.tally import COUNTERS, REQUESTS, ROWS, STAGE_TIME, Kind, Tally

SAFETY_S = 10


class Family:
    """One of Triton's families.

    Attributes:
        made: how often a series was made, by its labels.
        total: what each series stands at.
    """

    def __init__(self, kind: Kind, is_gauge: bool) -> None:
        self.description, self.is_gauge = kind.description, is_gauge
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
        assert not self.family.is_gauge
        self.family.total[self.labels] += amount

    def set(self, amount: float) -> None:
        assert self.family.is_gauge
        self.family.total[self.labels] = amount


@pytest.fixture
def families() -> dict[str, Family]:
    return {}


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def rows() -> dict[str, tuple[int, int]]:
    return {}


@pytest.fixture
def new_metrics(families, tally, rows) -> Callable[[], Metrics]:
    def new_family(kind: Kind, is_gauge: bool) -> Family:
        return families.setdefault(kind.name, Family(kind, is_gauge))

    return lambda: Metrics(tally, lambda: rows, new_family)


@pytest.fixture
def reporting(monkeypatch, new_metrics) -> Iterator[Metrics]:
    """Metrics whose own thread has all the time in the world."""
    monkeypatch.setattr(metrics, "EVERY_S", 3600)
    made = new_metrics()
    yield made
    made.close()


def test_every_kind_of_count_is_a_family_that_says_what_it_counts(reporting, families) -> None:
    kinds = [*COUNTERS, STAGE_TIME.buckets, STAGE_TIME.sum, STAGE_TIME.count, QUEUED, IN_FLIGHT]
    assert {kind.name: kind.description for kind in kinds}.items() <= {
        name: family.description for name, family in families.items()
    }.items()
    assert [name for name, family in families.items() if family.is_gauge] == [QUEUED.name, IN_FLIGHT.name]


def test_counts_are_reported_with_their_label(reporting, families, tally) -> None:
    tally.add(REQUESTS, "deadline", 2)
    tally.add(REQUESTS, "parallel")
    reporting.report()
    assert families[REQUESTS.name].total == {(("policy", "deadline"),): 2, (("policy", "parallel"),): 1}
    assert not families[ROWS.name].made


def test_increments_add_up_in_one_series_a_label(reporting, families, tally) -> None:
    for seconds in (0.25, 0.5, 1.0):
        tally.observe(STAGE_TIME, "cuml", seconds)
        reporting.report()
    reporting.report()
    assert families[STAGE_TIME.sum.name].total == {(("stage", "cuml"),): 1.75}
    assert families[STAGE_TIME.sum.name].made == {(("stage", "cuml"),): 1}


def test_times_are_reported_by_bucket(reporting, families, tally) -> None:
    tally.observe(STAGE_TIME, "cuml", 0.2)
    reporting.report()
    buckets = families[STAGE_TIME.buckets.name].total
    assert buckets[("stage", "cuml"), ("le", "0.1")] == 0
    assert buckets[("stage", "cuml"), ("le", "0.25")] == buckets[("stage", "cuml"), ("le", "+Inf")] == 1


def test_gauges_follow_the_rows(reporting, families, rows) -> None:
    for waiting, computing in ((7, 2), (7, 0), (0, 0)):
        rows["cuml"] = (waiting, computing)
        reporting.report()
        assert families[QUEUED.name].total == {(("stage", "cuml"),): waiting}
        assert families[IN_FLIGHT.name].total == {(("stage", "cuml"),): computing}


def test_closing_reports_the_rest_and_ends_the_thread(reporting, families, tally) -> None:
    tally.add(ROWS, "cuml", 7)
    assert [thread for thread in threading.enumerate() if thread.name == "metrics"]
    reporting.close()
    assert families[ROWS.name].total == {(("route", "cuml"),): 7}
    assert not [thread for thread in threading.enumerate() if thread.name == "metrics"]


def test_the_thread_reports_by_itself(monkeypatch, families, tally, new_metrics) -> None:
    monkeypatch.setattr(metrics, "EVERY_S", 0.01)
    made = new_metrics()
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
