"""What is not believed of a model's answer, with and without a configuration that promises it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from readability_triton.bls.answers import check, check_scores, promise_of
from readability_triton.bls.lanes import Lanes
from readability_triton.bls.row_queue import Owner
from readability_triton.bls.settings import Settings
from readability_triton.bls.stages import StageError
from readability_triton.bls.tally import Tally
from tests.bls.models import Models

CALLED = {"fold": "none"}
FACTS = np.array([[4, 82], [3, 83], [4, 83]], np.int64)
FEATURES = np.pad(FACTS.astype(np.float32), ((0, 0), (0, 205)))
SPOILED = {
    "squeezed": (lambda array: array[:, 0], r"float32 \[3\]"),
    "too few rows": (lambda array: array[:2], r"float32 \[2, 1\]"),
    "two columns": (lambda array: np.hstack([array, array]), r"float32 \[3, 2\]"),
    "FP64": (lambda array: array.astype(np.float64), r"float64 \[3, 1\]"),
}
SCORERS = {"bert-large": "OUTPUT__0", "cuml": "output__0"}


@pytest.fixture
def models() -> Models:
    return Models()


async def ask(stages: Any, model: str) -> Any:
    if model == "bert-large":
        return await stages.bert(FACTS, np.ones_like(FACTS))
    return await getattr(stages, model)(FEATURES)


@pytest.mark.parametrize("model", SCORERS)
@pytest.mark.parametrize("spoiled", SPOILED)
def test_scores_are_checked_where_no_configuration_promises_anything(
    loop, models, tmp_path: Path, model: str, spoiled: str
) -> None:
    spoil, found = SPOILED[spoiled]
    models.spoil[model] = lambda outputs: {name: spoil(array) for name, array in outputs.items()}
    lanes = Lanes(Settings.read(CALLED, on_gpu=False), tmp_path, models, Tally())
    message = rf"^{model}: output {SCORERS[model]} is {found}; expected float32 \[3, 1\]"
    with pytest.raises(StageError, match=message):
        loop.run(ask(lanes.stages_of(Owner(3)), model))


def test_scores_are_checked_where_the_configuration_promises_something_else(loop, models, tmp_path: Path) -> None:
    (tmp_path / "cuml").mkdir()
    config = 'backend: "fil" max_batch_size: 8 output [ { name: "output__0" data_type: TYPE_FP32 dims: [ 2 ] } ]'
    (tmp_path / "cuml" / "config.pbtxt").write_text(config)
    models.spoil["cuml"] = lambda outputs: {name: np.repeat(array, 2, axis=1) for name, array in outputs.items()}
    lanes = Lanes(Settings.read(CALLED, on_gpu=False), tmp_path, models, Tally())
    with pytest.raises(StageError, match=r"^cuml: output output__0 is float32 \[3, 2\]; expected float32 \[3, 1\]"):
        loop.run(ask(lanes.stages_of(Owner(3)), "cuml"))


def test_a_reshape_does_not_change_what_clients_are_promised(tmp_path: Path) -> None:
    (tmp_path / "cuml").mkdir()
    output = '{ name: "output__0" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ 1 ] } }'
    (tmp_path / "cuml" / "config.pbtxt").write_text(f'backend: "fil" max_batch_size: 8 output [ {output} ]')
    promise = promise_of(tmp_path / "cuml" / "config.pbtxt")
    check("cuml", {"output__0": np.ones((3, 1), np.float32)}, promise, 3)
    with pytest.raises(StageError, match="cuml: output output__0 is"):
        check("cuml", {"output__0": np.ones(3, np.float32)}, promise, 3)


def test_a_column_of_scores_passes() -> None:
    check_scores("cuml", "output__0", np.ones((3, 1), np.float32), 3)
    check_scores("cuml", "output__0", np.ones((0, 1), np.float32), 0)
