"""The hybrid pipeline against a server whose models answer in other shapes than their configurations say."""

import asyncio

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.client import hybrid
from readability_triton.client.hybrid import HybridPipeline
from readability_triton.stages.prepared import Prepared

EXCERPTS = np.array([[b"Rain"], [b"Sun"], [b"Snow"]], dtype=object)
WEIGHTS = np.array([[1.0], [0.0], [0.5]], np.float32)
BERT, CUML = np.array([[1], [2], [3]], np.float32), np.array([[5], [6], [7]], np.float32)


class Answer:
    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def as_numpy(self, name: str) -> np.ndarray:
        return self._scores


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """The pipeline over models that give these scores."""

    class Preprocess:
        def __init__(self, folder) -> None:
            pass

        def prepare(self, texts: list[str]) -> Prepared:
            ids = np.ones((len(texts), 4), np.int64)
            return Prepared(ids, ids, np.ones((len(texts), 207), np.float32))

    monkeypatch.setattr(hybrid, "HostPreprocess", Preprocess)

    class Client:
        def __init__(self, scores: dict[str, np.ndarray]) -> None:
            self._scores = scores

        async def infer(self, model: str, inputs: list, client_timeout: float | None) -> Answer:
            return Answer(self._scores[model])

    return lambda bert, cuml: HybridPipeline(tmp_path, Client({"bert-large": bert, "cuml": cuml}))


def test_both_scores_are_blended_row_by_row(pipeline) -> None:
    scores = asyncio.run(pipeline(BERT, CUML).score(EXCERPTS, WEIGHTS))
    assert scores.tolist() == [[1.0], [6.0], [5.0]]


def test_a_forest_that_answers_without_its_last_dimension_is_an_error_not_a_square(pipeline) -> None:
    with pytest.raises(
        InferenceServerException, match=r"output output__0 of cuml is float32 \[3\]; expected float32 \[3, 1\]"
    ):
        asyncio.run(pipeline(BERT, CUML[:, 0]).score(EXCERPTS, WEIGHTS))


def test_an_encoder_that_answers_too_few_rows_is_an_error(pipeline) -> None:
    with pytest.raises(InferenceServerException, match=r"output OUTPUT__0 of bert-large is float32 \[2, 1\]"):
        asyncio.run(pipeline(BERT[:2], CUML).score(EXCERPTS, WEIGHTS))
