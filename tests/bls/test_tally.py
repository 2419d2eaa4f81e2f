"""What is counted of an answer, and that nothing is counted twice or lost."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bls.batch import Batch, Outcome, of_bert, of_both, of_cuml, without_reasons
from readability_triton.bls.policy import PolicyError
from readability_triton.bls.stages import CancelledRequestError, StageBusyError, StageError, StageLateError
from readability_triton.bls.tally import (
    BOUNDS_S,
    COUNTERS,
    DEGRADED,
    REQUESTS,
    ROWS,
    STAGE_CALLS,
    STAGE_ROWS,
    STAGE_TIME,
    TIMINGS,
    Tally,
    outcome_name,
)
from readability_triton.stages.errors import InvalidRowError

SCORES = np.array([[6.0], [8.0], [4.0]], np.float32)
BATCH = Batch(np.array([[b"A"], [b"B"], [b"C"]], dtype=object), np.array([[1.0], [0.0], [0.5]], np.float32))
BOTH = of_both(BATCH, SCORES, SCORES)


def mixed() -> Outcome:
    """The row in the middle is the forest's alone."""
    skipped = np.array([[False], [True], [False]])
    route = np.where(skipped, b"cuml", BOTH.route).astype(object)
    return replace(BOTH, bert=np.where(skipped, np.nan, BOTH.bert), route=route)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (BOTH, {(ROWS, ("bert-large+cuml",)): 3}),
        (mixed(), {(ROWS, ("bert-large+cuml",)): 2, (ROWS, ("cuml",)): 1}),
        (of_cuml(SCORES), {(ROWS, ("cuml",)): 3}),
        (of_cuml(SCORES, "bert-large late"), {(ROWS, ("cuml",)): 3, (DEGRADED, ("bert-large late",)): 3}),
        (of_bert(SCORES, "cuml late"), {(ROWS, ("bert-large",)): 3, (DEGRADED, ("cuml late",)): 3}),
        (
            without_reasons(of_cuml(SCORES, "bert-large late"), BATCH.weights == 0),
            {(ROWS, ("cuml",)): 3, (DEGRADED, ("bert-large late",)): 2},
        ),
    ],
    ids=["both", "some skipped", "all skipped", "bert late", "cuml late", "bert late, but one row did not want it"],
)
def test_an_answer_is_counted_by_policy_route_and_reason(outcome: Outcome, counts) -> None:
    tally = Tally()
    tally.add_outcome("some", outcome)
    assert tally.drain() == {(REQUESTS, ("some",)): 1, **counts}


def test_answers_add_up_until_they_are_drained() -> None:
    tally = Tally()
    for _ in range(3):
        tally.add_outcome("parallel", BOTH)
    tally.add(STAGE_ROWS, "cuml", 2)
    tally.add(STAGE_ROWS, "cuml", 5)
    assert tally.drain() == {
        (REQUESTS, ("parallel",)): 3,
        (ROWS, ("bert-large+cuml",)): 9,
        (STAGE_ROWS, ("cuml",)): 7,
    }
    assert tally.drain() == {}


def test_nothing_is_lost_between_threads() -> None:
    tally, drained = Tally(), []

    def add() -> None:
        for _ in range(2000):
            tally.add(STAGE_CALLS, "cuml")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        drained.append(tally.drain())
    drained.append(tally.drain())
    assert sum(counts.get((STAGE_CALLS, ("cuml",)), 0) for counts in drained) == 8000


@given(st.lists(st.tuples(st.sampled_from(COUNTERS), st.sampled_from(["a", "b"]), st.integers(0, 9))))
def test_every_count_is_its_own(added) -> None:
    tally = Tally()
    for kind, label, amount in added:
        tally.add(kind, label, amount)
    counts = tally.drain()
    for kind in COUNTERS:
        for label in ("a", "b") if kind.labels else ("",):
            right = sum(amount for which, given, amount in added if which == kind and (given == label or not label))
            assert counts.get((kind, (label,) if label else ()), 0) == right


@given(st.lists(st.floats(0, 100), min_size=1))
def test_times_are_counted_by_upper_bound_as_prometheus_does(seconds: list[float]) -> None:
    tally = Tally()
    for each in seconds:
        tally.observe(STAGE_TIME, "cuml", each)
    counts = tally.drain()
    for bound in BOUNDS_S:
        right = sum(each <= bound for each in seconds)
        assert counts[STAGE_TIME.buckets, ("cuml", f"{bound:g}")] == right
    assert counts[STAGE_TIME.buckets, ("cuml", "+Inf")] == counts[STAGE_TIME.count, ("cuml",)] == len(seconds)
    assert counts[STAGE_TIME.sum, ("cuml",)] == pytest.approx(sum(seconds))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (BOTH, "ok"),
        (of_cuml(SCORES, "bert-large late"), "degraded"),
        (InvalidRowError(0, "text is empty"), "invalid"),
        (PolicyError("no policy"), "invalid"),
        (StageBusyError("queue", "busy"), "busy"),
        (StageLateError("cuml", "late"), "late"),
        (CancelledRequestError("bls_pipeline", "gone"), "cancelled"),
        (StageError("cuml", "failed"), "failed"),
    ],
    ids=str,
)
def test_every_answer_has_an_outcome(answer, name: str) -> None:
    assert outcome_name(answer) == name


def test_metrics_have_names_of_their_own_as_prometheus_wants_them() -> None:
    kinds = [*COUNTERS, *(kind for each in TIMINGS for kind in (each.buckets, each.sum, each.count))]
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.name.startswith("bls_") for kind in kinds)
    assert all(kind.name.endswith("_total") for kind in COUNTERS)
