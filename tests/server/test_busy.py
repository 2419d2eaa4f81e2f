"""A request that waits longer than `max_wait_ms` fails with UNAVAILABLE; those before and after it are answered."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.errors import ServerBusyError
from readability_triton.client.scorer import Scorer
from readability_triton.faults.copies import set_parameter
from readability_triton.serving.server import Options, running
from readability_triton.stages.pipeline import InProcessPipeline

TEXTS = list(sample_passages().values())
MANY = TEXTS * 6


@pytest.fixture
def url(own_repository: Path) -> Iterator[str]:
    set_parameter(own_repository, "bls_pipeline", "max_wait_ms", "100")
    with running(Options(own_repository)) as server:
        yield server.grpc_url


def test_a_request_that_waits_too_long_fails_with_unavailable(url: str, truth: InProcessPipeline) -> None:
    with Scorer("bls_pipeline", None, url, len(MANY)) as scorer, ThreadPoolExecutor(2) as threads:
        right = truth.score(TEXTS, np.ones((len(TEXTS), 1), np.float32))[:, 0]
        long = []
        for _ in range(2):  # one for each instance
            long.append(threads.submit(scorer.score, MANY, 1.0))
            time.sleep(0.2)
        with pytest.raises(ServerBusyError, match=r"queue: busy: this request waited .* s, at most 0.1 are allowed"):
            scorer.score(TEXTS[:1], 1.0)
        for each in long:
            np.testing.assert_allclose(each.result().values, np.tile(right, 6), rtol=0, atol=1e-5)
        time.sleep(0.3)
        np.testing.assert_allclose(scorer.score(TEXTS[:1], 1.0).values, right[:1], rtol=0, atol=1e-5)
