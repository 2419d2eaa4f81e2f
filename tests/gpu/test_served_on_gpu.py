"""Both pipelines all on the GPU: the CPU's scores, and no memory of the card kept."""

from functools import cache

import numpy as np
import pytest
import torch

from readability_triton.client.scorer import Scorer

TOLERANCE = 0.005
"""The encoder's sums are rounded otherwise on a GPU, which may multiply in TF32."""


@pytest.fixture(scope="module")
def batch(truth, texts):
    """Texts, weights and the CPU's scores of so many rows; the CPU computes them once."""

    @cache
    def make(n_rows: int) -> tuple[list[str], list[float], np.ndarray]:
        chosen = [texts[row % len(texts)] for row in range(n_rows)]
        weights = np.linspace(0, 1, n_rows, dtype=np.float32)
        return chosen, weights.tolist(), truth.score(chosen, weights[:, None])[:, 0]

    return make


@pytest.mark.parametrize("pipeline", ["ensemble_all", "bls_pipeline"])
@pytest.mark.parametrize("n_rows", [1, 2, 64, 512])
def test_scores_are_those_of_the_cpu(gpu_server, batch, pipeline: str, n_rows: int) -> None:
    chosen, weights, right = batch(n_rows)
    with Scorer(pipeline, None, gpu_server.grpc_url) as scorer:
        scores = scorer.score(chosen, weights)
    np.testing.assert_allclose(scores.values, right, rtol=0, atol=TOLERANCE)


def free_bytes() -> int:
    """What the whole card has left, whoever uses it."""
    return torch.cuda.mem_get_info()[0]


@pytest.mark.parametrize("pipeline", ["ensemble_all", "bls_pipeline"])
def test_ten_thousand_requests_keep_no_more_memory_than_a_thousand(gpu_server, texts, pipeline: str) -> None:
    with Scorer(pipeline, None, gpu_server.grpc_url) as scorer:
        readings = []
        for number in range(10_000):
            scorer.score([texts[number % len(texts)]])
            if number in (1_000 - 1, 10_000 - 1):
                readings.append(free_bytes())
    assert readings[1] >= readings[0] - (1 << 20)
