"""What a policy answers, and the tensors that are made of it."""

import numpy as np
import pytest

from readability_triton.bls.batch import (
    OUTPUTS,
    Batch,
    Outcome,
    joined,
    missing,
    of_bert,
    of_both,
    of_cuml,
    on_host,
    without_reasons,
)

BERT, CUML = np.array([[6.0], [8.0], [4.0]], np.float32), np.array([[65.0], [84.0], [82.0]], np.float32)
BATCH = Batch(np.array([[b"A"], [b"B"], [b"C"]], dtype=object), np.array([[1.0], [0.0], [0.5]], np.float32))
OUTCOMES = {
    "both": of_both(BATCH, BERT, CUML),
    "cuml": of_cuml(CUML, "bert-large late"),
    "bert": of_bert(BERT, "cuml failed"),
}
TYPES = {
    "SCORE": np.float32,
    "BERT_SCORE": np.float32,
    "CUML_SCORE": np.float32,
    "ROUTE": object,
    "DEGRADED": bool,
    "FLAGS": object,
    "SPANS": object,
}
every_outcome = pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES.keys())


def columns(outcome: Outcome) -> dict[str, list]:
    return {name: make(outcome).ravel().tolist() for name, make in OUTPUTS.items()}


@every_outcome
def test_every_output_has_the_type_of_the_contract_and_a_row_each(outcome: Outcome) -> None:
    assert list(OUTPUTS) == list(TYPES)
    for name, make in OUTPUTS.items():
        assert make(outcome).dtype == TYPES[name]
        assert make(outcome).shape == (3, 1)
    assert len(outcome) == 3


def test_both_scores_are_blended_by_weight() -> None:
    assert columns(OUTCOMES["both"]) == {
        "SCORE": [6, 84, 43],
        "BERT_SCORE": [6, 8, 4],
        "CUML_SCORE": [65, 84, 82],
        "ROUTE": [b"bert-large+cuml"] * 3,
        "DEGRADED": [False] * 3,
        "FLAGS": [b"unchecked"] * 3,
        "SPANS": [b""] * 3,
    }


@pytest.mark.parametrize(
    ("name", "there", "other"), [("cuml", "CUML_SCORE", "BERT_SCORE"), ("bert", "BERT_SCORE", "CUML_SCORE")]
)
def test_one_score_alone_is_the_answer_and_the_other_one_is_nan(name: str, there: str, other: str) -> None:
    outcome = columns(OUTCOMES[name])
    assert outcome["SCORE"] == outcome[there]
    assert np.isnan(outcome[other]).all()
    assert outcome["DEGRADED"] == [True] * 3


def test_without_a_reason_one_score_alone_is_as_asked_for() -> None:
    assert columns(of_cuml(CUML))["DEGRADED"] == [False] * 3
    assert columns(of_bert(BERT))["DEGRADED"] == [False] * 3


def test_rows_whose_score_is_exact_lose_their_reason_and_nothing_else_changes() -> None:
    outcome = without_reasons(OUTCOMES["cuml"], BATCH.weights == 0)
    assert outcome.reasons.ravel().tolist() == ["bert-large late", "", "bert-large late"]
    assert outcome.reasons.dtype == object
    assert columns(outcome)["DEGRADED"] == [True, False, True]
    assert columns(outcome)["SCORE"] == columns(OUTCOMES["cuml"])["SCORE"]


def test_chunks_are_joined_in_order() -> None:
    whole = joined(list(OUTCOMES.values()))
    assert len(whole) == 9
    for name in ("scores", "bert", "cuml", "route", "reasons"):
        parts = [getattr(outcome, name) for outcome in OUTCOMES.values()]
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate(parts))


def test_missing_scores_are_nan() -> None:
    assert missing(2).dtype == np.float32
    assert missing(2).shape == (2, 1)
    assert np.isnan(missing(2)).all()


class OnHost:
    """A Triton tensor on the CPU, as far as it is looked at."""

    def is_cpu(self) -> bool:
        return True

    def as_numpy(self) -> np.ndarray:
        return CUML


def test_scores_may_come_as_triton_tensors() -> None:
    assert on_host(OnHost()) is CUML
    assert on_host(BERT) is BERT
    assert columns(of_both(BATCH, BERT, OnHost())) == columns(OUTCOMES["both"])


def test_a_batch_has_as_many_rows_as_excerpts() -> None:
    assert len(BATCH) == 3
