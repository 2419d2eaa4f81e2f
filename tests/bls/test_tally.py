"""What is counted of an answer, and that nothing is counted twice or lost."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.bls.batch import Batch, Outcome, excused, of_bert, of_both, of_cuml
from readability_triton.bls.tally import DEGRADED, KINDS, REQUESTS, ROWS, SAVED, STAGE_CALLS, STAGE_SECONDS, Tally

SCORES = np.array([[6.0], [8.0], [4.0]], np.float32)
BATCH = Batch(np.array([[b"A"], [b"B"], [b"C"]], dtype=object), np.array([[1.0], [0.0], [0.5]], np.float32))
BOTH = of_both(BATCH, SCORES, SCORES)


def mixed() -> Outcome:
    """A cascade's: the row in the middle is the forest's alone."""
    skipped = np.array([[False], [True], [False]])
    route = np.where(skipped, b"cuml", BOTH.route).astype(object)
    return Outcome(BOTH.scores, np.where(skipped, np.nan, BOTH.bert), BOTH.cuml, route, BOTH.reasons)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (BOTH, {(ROWS, "bert-large+cuml"): 3}),
        (mixed(), {(ROWS, "bert-large+cuml"): 2, (ROWS, "cuml"): 1, (SAVED, ""): 1}),
        (of_cuml(SCORES), {(ROWS, "cuml"): 3, (SAVED, ""): 3}),
        (of_cuml(SCORES, "bert-large late"), {(ROWS, "cuml"): 3, (DEGRADED, "bert-large late"): 3}),
        (of_bert(SCORES, "cuml late"), {(ROWS, "bert-large"): 3, (DEGRADED, "cuml late"): 3}),
        (
            excused(of_cuml(SCORES, "bert-large late"), BATCH.weights == 0),
            {(ROWS, "cuml"): 3, (DEGRADED, "bert-large late"): 2, (SAVED, ""): 1},
        ),
    ],
    ids=["both", "some skipped", "all skipped", "bert late", "cuml late", "bert late, but one row did not want it"],
)
def test_an_answer_is_counted_by_policy_route_and_reason(outcome: Outcome, counts) -> None:
    tally = Tally()
    tally.add_outcome("some", outcome)
    assert tally.drain() == {(REQUESTS, "some"): 1, **counts}


def test_answers_add_up_until_they_are_drained() -> None:
    tally = Tally()
    for _ in range(3):
        tally.add_outcome("parallel", BOTH)
    tally.add(STAGE_SECONDS, "cuml", 0.25)
    tally.add(STAGE_SECONDS, "cuml", 0.5)
    assert tally.drain() == {
        (REQUESTS, "parallel"): 3,
        (ROWS, "bert-large+cuml"): 9,
        (STAGE_SECONDS, "cuml"): 0.75,
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
    assert sum(counts.get((STAGE_CALLS, "cuml"), 0) for counts in drained) == 8000


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(["a", "b"]), st.integers(0, 9))))
def test_every_count_is_its_own(added) -> None:
    tally = Tally()
    for kind, label, amount in added:
        tally.add(kind, label, amount)
    counts = tally.drain()
    for kind in KINDS:
        for label in ("a", "b"):
            right = sum(amount for *which, amount in added if which == [kind, label])
            assert counts.get((kind, label), 0) == right


def test_metrics_have_names_of_their_own_as_prometheus_wants_them() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.name.startswith("bls_") and kind.name.endswith("_total") for kind in KINDS)
