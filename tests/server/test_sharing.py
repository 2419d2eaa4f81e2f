"""One scorer for sixteen threads and sixty-four forked workers, against the real server."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.scorer import Scorer
from readability_triton.serving.server import TritonServer
from readability_triton.stages.pipeline import InProcessPipeline

TEXTS = [text[:300] for text in sample_passages().values()]

WORKERS = """
import json, multiprocessing, sys
from concurrent.futures import ThreadPoolExecutor
from readability_triton.client import Scorer

url, texts = sys.argv[1], json.load(sys.stdin)
scorer = Scorer(url=url)
busy = url.startswith("http")  # over gRPC a process that has sent requests does not fork workers that may

def child(number, results):
    text = texts[number % len(texts)]
    own = Scorer(url=url)
    results.put((number, [float(each.score([text], 0.5).values[0]) for each in (scorer, own)]))

def ask(number):
    return scorer.score([texts[number % len(texts)]], 0.5).values.tolist()

context = multiprocessing.get_context("fork")
results = context.SimpleQueue()
with ThreadPoolExecutor(16) as pool:
    asked = [pool.submit(ask, number) for number in range(160)] if busy else []
    children = [context.Process(target=child, args=(number, results)) for number in range(64)]
    for process in children:
        process.start()
    found = dict(results.get() for _ in children)
    for process in children:
        process.join()
        assert process.exitcode == 0
    if not busy:
        asked = [pool.submit(ask, number) for number in range(160)]
    print(json.dumps([[each.result() for each in asked], [found[number] for number in range(64)]]))
"""


@pytest.fixture(scope="module")
def expected(truth: InProcessPipeline) -> list[float]:
    return truth.score(TEXTS, np.full((len(TEXTS), 1), 0.5, np.float32))[:, 0].tolist()


def test_threads_share_a_scorer(url: str, expected: list[float]) -> None:
    with Scorer(url=url) as scorer, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: scorer.score([TEXTS[number % len(TEXTS)]], 0.5).values[0], range(160)))
    assert found == pytest.approx([expected[number % len(TEXTS)] for number in range(160)], abs=1e-5)


def test_forked_workers_get_right_answers_beside_busy_threads(server: TritonServer, url: str, expected: list) -> None:
    command = [sys.executable, "-c", WORKERS, url]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, input=json.dumps(TEXTS), capture_output=True, text=True, timeout=300, cwd=root)
    assert result.returncode == 0, result.stderr
    threads, workers = json.loads(result.stdout)
    assert [each[0] for each in threads] == pytest.approx(
        [expected[number % len(TEXTS)] for number in range(160)], abs=1e-5
    )
    for number, found in enumerate(workers):
        assert found == pytest.approx([expected[number % len(TEXTS)]] * 2, abs=1e-5)
