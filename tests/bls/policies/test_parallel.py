"""Policy `parallel`: both scorers see every excerpt, at the same time."""

import asyncio
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bls.policies.parallel import parallel
from bls.stages import Prepared, Scores, StageError

EXCERPTS = np.array([[b"A hen."], [b"The sea."], [b"Rain"]], dtype=object)
SAFETY_S = 10


class Meeting:
    """Stages whose scorers answer only when both have been called."""

    def __init__(self) -> None:
        self.bert_called, self.cuml_called = asyncio.Event(), asyncio.Event()

    async def preprocess(self, excerpts: NDArray[Any]) -> Prepared:
        return Prepared("ids", "mask", "features")

    async def bert(self, ids: str, mask: str) -> str:
        self.bert_called.set()
        await self.cuml_called.wait()
        return f"bert of {ids} and {mask}"

    async def cuml(self, features: str) -> str:
        self.cuml_called.set()
        await self.bert_called.wait()
        return f"cuml of {features}"


async def meet() -> Scores:
    return await asyncio.wait_for(parallel(Meeting(), EXCERPTS), SAFETY_S)


def test_the_scorers_run_at_the_same_time() -> None:
    asyncio.run(meet())


def test_each_scorer_gets_its_tensors_and_gives_its_score() -> None:
    assert asyncio.run(meet()) == Scores(bert="bert of ids and mask", cuml="cuml of features")


def test_every_excerpt_is_scored_by_both_in_order(stages) -> None:
    bert, cuml = asyncio.run(parallel(stages, EXCERPTS))
    assert bert.ravel().tolist() == [6, 8, 4]
    assert cuml.ravel().tolist() == list(b"ATR")


def test_a_batch_takes_one_call_a_stage(stages) -> None:
    asyncio.run(parallel(stages, EXCERPTS))
    assert sorted(stages.calls) == [("bert-large", 3), ("cuml", 3), ("preprocess", 3)]
    assert stages.calls[0] == ("preprocess", 3)


@pytest.mark.parametrize("stage", ["preprocess", "bert-large", "cuml"])
def test_a_stage_that_fails_is_named(stages, stage: str) -> None:
    stages.broken = {stage}
    with pytest.raises(StageError, match=f"^{stage}: out of order$"):
        asyncio.run(parallel(stages, EXCERPTS))


def test_no_scorer_is_called_when_preprocess_fails(stages) -> None:
    stages.broken = {"preprocess"}
    with pytest.raises(StageError):
        asyncio.run(parallel(stages, EXCERPTS))
    assert stages.calls == [("preprocess", 3)]
