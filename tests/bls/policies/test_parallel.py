"""Policy `parallel`: both scorers see every excerpt, at the same time."""

import pytest

from readability_triton.bls.policies.parallel import parallel
from readability_triton.bls.stages import StageError


def test_every_row_is_blended_by_its_weight(stages, loop, batch_of) -> None:
    outcome = loop.run(parallel(stages, batch_of(0.0, 1.0, 0.5)))
    assert outcome.scores.ravel().tolist() == [65, 8, 43]
    assert outcome.bert.ravel().tolist() == [6, 8, 4]
    assert outcome.cuml.ravel().tolist() == [65, 84, 82]
    assert outcome.route.ravel().tolist() == [b"bert-large+cuml"] * 3
    assert outcome.reasons.ravel().tolist() == [""] * 3


def test_the_scorers_run_at_the_same_time(stages, loop, batch_of) -> None:
    stages.delays |= {"preprocess": 1, "bert-large": 5, "cuml": 4}
    loop.run(parallel(stages, batch_of(1, 1, 1)))
    assert loop.seconds == 6


def test_a_batch_takes_one_call_a_stage(stages, loop, batch_of) -> None:
    loop.run(parallel(stages, batch_of(1, 1, 1)))
    assert sorted(stages.calls) == [("bert-large", 3), ("cuml", 3), ("preprocess", 3)]


@pytest.mark.parametrize("stage", ["preprocess", "bert-large", "cuml"])
def test_a_stage_that_fails_is_named(stages, loop, batch_of, stage: str) -> None:
    stages.fails[stage] = stages.ALWAYS
    with pytest.raises(StageError, match=f"^{stage}: out of order$"):
        loop.run(parallel(stages, batch_of(1, 1, 1)))


def test_no_scorer_is_called_when_preprocess_fails(stages, loop, batch_of) -> None:
    stages.fails["preprocess"] = 1
    with pytest.raises(StageError):
        loop.run(parallel(stages, batch_of(1, 1, 1)))
    assert stages.calls == [("preprocess", 3)]
