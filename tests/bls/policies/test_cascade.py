"""Policy `cascade`: the encoder sees only the rows whose score it is expected to move by more than the tolerance."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readability_triton.bls.batch import Batch
from readability_triton.bls.policies.cascade import cascade
from readability_triton.bls.stages import StageError

shares = st.floats(0, 1, width=32)
gaps = st.floats(0, 4, width=32)
rows = st.lists(st.tuples(shares, gaps), min_size=1, max_size=8)


class Rows(NamedTuple):
    """A batch whose row N is N + 1 bytes long, with the gap of each row."""

    batch: Batch
    gaps: np.ndarray

    def gap(self, features: np.ndarray) -> np.ndarray:
        return self.gaps[features[:, 0].astype(int) - 1]


def rows_of(pairs: list[tuple[float, float]]) -> Rows:
    weights, expected = np.array(pairs, dtype=np.float32).T[:, :, None]
    excerpts = np.array([[b"x" * (row + 1)] for row in range(len(pairs))], dtype=object)
    return Rows(Batch(excerpts, weights), expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.floats(0, 4, width=32) | st.just(0.0))
def test_exactly_the_rows_that_matter_more_than_the_tolerance_are_asked(stages, loop, pairs, tolerance) -> None:
    batch, stages.gap = (made := rows_of(pairs)).batch, made.gap
    stages.calls.clear()
    stages.tensors = None
    outcome = loop.run(cascade(stages, batch, tolerance=tolerance))
    matters = (batch.weights * made.gaps > np.float32(tolerance)).ravel()

    lengths = np.arange(1, len(pairs) + 1, dtype=np.float32)[:, None]
    blended = batch.weights * lengths + (1 - batch.weights) * ord("x")
    np.testing.assert_allclose(outcome.scores, np.where(matters[:, None], blended, ord("x")), rtol=1e-6)
    np.testing.assert_array_equal(outcome.bert, np.where(matters[:, None], lengths, np.nan))
    np.testing.assert_array_equal(outcome.cuml, np.full_like(lengths, ord("x")))
    assert (outcome.route.ravel() == np.where(matters, b"bert-large+cuml", b"cuml")).all()
    assert not outcome.reasons.any()

    assert stages.asked("bert-large") == ([matters.sum()] if matters.any() else [])
    if matters.any():
        ids, mask = stages.tensors
        assert ids[:, 0].tolist() == lengths[matters].ravel().tolist()
        assert mask.shape == ids.shape


def test_where_no_row_matters_the_encoder_is_not_called(stages, loop, batch_of) -> None:
    outcome = loop.run(cascade(stages, batch_of(1, 1, 1), tolerance=100.0))
    assert stages.asked("bert-large") == []
    assert outcome.scores.ravel().tolist() == [65, 84, 82]


def test_where_every_row_matters_the_tensors_are_passed_on_as_they_are(stages, loop, batch_of, monkeypatch) -> None:
    prepared = loop.run(stages.preprocess(batch_of(1, 1, 1).excerpts))

    async def preprocess(excerpts):
        return prepared

    monkeypatch.setattr(stages, "preprocess", preprocess)
    loop.run(cascade(stages, batch_of(1, 1, 1), tolerance=0.0))
    assert stages.tensors is not None
    assert stages.tensors[0] is prepared.ids
    assert stages.tensors[1] is prepared.mask


def test_a_row_of_weight_0_never_needs_the_encoder(stages, loop, batch_of) -> None:
    outcome = loop.run(cascade(stages, batch_of(0, 1, 0), tolerance=0.0))
    assert stages.asked("bert-large") == [1]
    assert outcome.route.ravel().tolist() == [b"cuml", b"bert-large+cuml", b"cuml"]


def test_an_encoder_that_says_nan_is_not_covered_up(stages, loop, batch_of, monkeypatch) -> None:
    async def bert(ids, mask):
        return np.full((len(ids), 1), np.nan, np.float32)

    monkeypatch.setattr(stages, "bert", bert)
    outcome = loop.run(cascade(stages, batch_of(1, 0, 1), tolerance=0.0))
    np.testing.assert_array_equal(outcome.scores.ravel(), [np.nan, 84, np.nan])
    assert outcome.route.ravel().tolist() == [b"bert-large+cuml", b"cuml", b"bert-large+cuml"]


def test_forest_and_gate_are_asked_at_the_same_time_and_the_encoder_after_them(stages, loop, batch_of) -> None:
    stages.delays |= {"preprocess": 1, "cuml": 4, "gate": 3, "bert-large": 10}
    loop.run(cascade(stages, batch_of(1, 1, 1), tolerance=0.0))
    assert loop.seconds == 15


@pytest.mark.parametrize("stage", ["preprocess", "cuml", "gate", "bert-large"])
def test_a_stage_that_fails_is_named(stages, loop, batch_of, stage: str) -> None:
    stages.fails[stage] = 1
    with pytest.raises(StageError, match=f"^{stage}: out of order$"):
        loop.run(cascade(stages, batch_of(1, 1, 1), tolerance=0.0))
