"""More rows than there is room for, and requests that take too long: they fail, all others are answered."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.errors import ReadabilityError, RequestTimeoutError, ServerBusyError
from readability_triton.client.scorer import Scorer
from readability_triton.faults.copies import set_parameter
from readability_triton.serving.server import Options, running
from readability_triton.stages.pipeline import InProcessPipeline

TEXTS = list(sample_passages().values())
MANY = TEXTS * 6
PATIENCE_S = 20


@pytest.fixture
def serve(own_repository: Path) -> Callable[..., AbstractContextManager[str]]:
    @contextmanager
    def serve(name: str, value: str) -> Iterator[str]:
        set_parameter(own_repository, "bls_pipeline", name, value)
        with running(Options(own_repository)) as server:
            yield server.grpc_url

    return serve


@pytest.fixture(scope="module")
def right(truth: InProcessPipeline) -> np.ndarray:
    return truth.score(TEXTS, np.ones((len(TEXTS), 1), np.float32))[:, 0]


def score(url: str, texts: list[str]) -> np.ndarray | ReadabilityError:
    with Scorer("bls_pipeline", None, url, 512) as scorer:
        try:
            return np.asarray(scorer.score(texts, 1.0).values)
        except ReadabilityError as error:
            return error


def test_a_request_for_whose_rows_there_is_no_room_fails_at_once(serve, right: np.ndarray) -> None:
    with serve("max_queued_rows", str(len(MANY))) as url, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: score(url, MANY), range(8)))
        assert any(isinstance(each, ServerBusyError) for each in answers)
        for each in answers:
            if isinstance(each, ReadabilityError):
                assert "queue: busy: " in str(each)
            else:
                np.testing.assert_allclose(each, np.tile(right, 6), rtol=0, atol=1e-5)
        np.testing.assert_allclose(score(url, TEXTS), right, rtol=0, atol=1e-5)


def test_a_request_that_takes_longer_than_max_wait_ms_fails_then(serve, right: np.ndarray) -> None:
    with serve("max_wait_ms", "200") as url:
        error = score(url, MANY * 8)
        assert isinstance(error, RequestTimeoutError)
        # When the time is up, or before: rows that cannot be done in time are not begun.
        assert re.search("no answer within 200 ms|no time left to compute", str(error))
        assert_right_soon(url, right)


def assert_right_soon(url: str, right: np.ndarray) -> None:
    """A single text is answered within 200 ms as soon as what the stages had begun is done."""
    deadline = time.monotonic() + PATIENCE_S
    while isinstance(answer := score(url, TEXTS[:1]), RequestTimeoutError):
        assert time.monotonic() < deadline
    np.testing.assert_allclose(answer, right[:1], rtol=0, atol=1e-5)
