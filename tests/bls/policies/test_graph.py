"""Policy `graph`: the ensemble's own steps, one by one."""

import numpy as np
import pytest

from readability_triton.bls.policies.graph import graph
from readability_triton.bls.policies.parallel import parallel
from readability_triton.bls.stages import StageError
from readability_triton.ensemble.config import ConfigError
from readability_triton.ensemble.dag import Dag, Step

WEIGHTS = (1, 0, 0.5)
STEPS = ("preprocess", "bert-large", "cuml", "postprocess")


def test_the_scores_are_those_of_parallel_to_the_bit(stages, loop, batch_of) -> None:
    walked, called = (loop.run(policy(stages, batch_of(*WEIGHTS))) for policy in (graph, parallel))
    for each in ("scores", "bert", "cuml"):
        np.testing.assert_array_equal(getattr(walked, each), getattr(called, each))


def test_the_rows_are_the_ensembles_and_as_asked_for(stages, loop, batch_of) -> None:
    outcome = loop.run(graph(stages, batch_of(*WEIGHTS)))
    assert outcome.route.ravel().tolist() == [b"ensemble_all"] * 3
    assert outcome.reasons.ravel().tolist() == [""] * 3


def test_every_step_is_one_call_and_the_scorers_run_at_the_same_time(stages, loop, batch_of) -> None:
    stages.delays |= {"preprocess": 1, "bert-large": 5, "cuml": 4, "postprocess": 1}
    loop.run(graph(stages, batch_of(*WEIGHTS)))
    assert sorted(stages.calls) == sorted((step, 3) for step in STEPS)
    assert loop.seconds == 7


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_is_named(stages, loop, batch_of, step: str) -> None:
    stages.fails[step] = 1
    with pytest.raises(StageError, match=f"^{step}: out of order$"):
        loop.run(graph(stages, batch_of(*WEIGHTS)))


def test_an_ensemble_whose_scorers_have_other_names_is_run_all_the_same(stages, loop, batch_of, monkeypatch) -> None:
    single = Dag("alone", ("excerpt", "BERT_WEIGHT"), ("SCORE",), (Step("cuml", {"input__0": "BERT_WEIGHT"}, {}),))
    renamed = Dag(
        single.name,
        single.inputs,
        single.outputs,
        (
            Step("preprocess", {"INPUT0": "excerpt"}, {"TREE_FEATS": "features"}),
            Step("cuml", {"input__0": "features"}, {"output__0": "SCORE"}),
        ),
    )
    monkeypatch.setattr(stages, "dag", lambda ensemble: renamed)
    outcome = loop.run(graph(stages, batch_of(*WEIGHTS)))
    assert outcome.scores.ravel().tolist() == [65, 84, 82]
    assert np.isnan(outcome.bert).all()
    assert np.isnan(outcome.cuml).all()


def test_an_ensemble_that_cannot_be_read_is_the_stages_error(stages, loop, batch_of, monkeypatch) -> None:
    def dag(ensemble: str) -> Dag:
        raise ConfigError("model_repository/ensemble_all/config.pbtxt: no such file")

    monkeypatch.setattr(stages, "dag", dag)
    with pytest.raises(StageError, match=r"^ensemble_all: model_repository/ensemble_all/config.pbtxt: no such file$"):
        loop.run(graph(stages, batch_of(*WEIGHTS)))


def test_a_score_that_is_no_column_is_an_error_not_a_square(stages, loop, batch_of, monkeypatch) -> None:
    call = stages.call

    async def squeezed(model, inputs, outputs):
        given = await call(model, inputs, outputs)
        return {name: array[:, 0] for name, array in given.items()} if model == "postprocess" else given

    monkeypatch.setattr(stages, "call", squeezed)
    with pytest.raises(StageError, match=r"output SCORE is float32 \[3\]; expected float32 \[3, 1\]"):
        loop.run(graph(stages, batch_of(*WEIGHTS)))
