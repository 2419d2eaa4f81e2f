"""A server that is drained before it gets SIGTERM, as a pod's preStop does it: under load, no request is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc

from readability_triton.client.errors import ReadabilityError
from readability_triton.client.scorer import Scorer
from readability_triton.serving import outstanding
from readability_triton.serving.runtime import find_runtime
from readability_triton.serving.server import Options, TritonServer
from readability_triton.stages.pipeline import InProcessPipeline

LONG = 64
"""Rows of a request that takes a second and more."""

REFUSED = "the server is stopping"
GONE = "ServerUnreachableError"


@dataclass(frozen=True)
class Asked:
    """A request and what became of it: `right`, `wrong` or the error."""

    url: str
    sent: float
    outcome: str


class Clients:
    """Threads that send single texts to `bls_pipeline`, by gRPC and HTTP, until nothing answers any more.

    After an error they connect anew, as one does that looks for another server.
    """

    def __init__(self, server: TritonServer, texts: list[str], scores: list[float]) -> None:
        self.asked: list[Asked] = []
        self._pairs = list(zip(texts, scores, strict=True))
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for url in (server.grpc_url, server.http_url)]
        for thread in self._threads:
            thread.start()

    def urls(self, outcome: str) -> set[str]:
        """By which protocols requests ended like this."""
        return {each.url for each in list(self.asked) if outcome in each.outcome}

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _ask(self, url: str) -> None:
        while not self._asks_until_an_error(url).outcome.startswith(GONE):
            pass

    def _asks_until_an_error(self, url: str) -> Asked:
        with Scorer("bls_pipeline", None, url, retries=0) as scorer:
            while True:
                text, score = self._pairs[len(self.asked) % len(self._pairs)]
                sent = time.monotonic()
                try:
                    value = scorer.score([text], 0.5).values[0]
                except ReadabilityError as error:
                    self.asked.append(Asked(url, sent, f"{type(error).__name__}: {error}"))
                    return self.asked[-1]
                self.asked.append(Asked(url, sent, "right" if abs(value - score) <= 1e-5 else "wrong"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TritonServer]:
    """A server as a container runs it: nothing loads its models again."""
    server = TritonServer(find_runtime(), Options(), tmp_path)
    try:
        server.wait_until_ready(lambda _: None)
        yield server
    finally:
        server.stop()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(server: TritonServer, model: str) -> int:
    """How many a model has computed."""
    with tritonclient.grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as client:
        return client.get_inference_statistics(model).model_stats[0].inference_count


def answered_or_refused(request: Future[list[float]], right: list[float]) -> bool:
    """Whether the answer is right; Triton 24.10 may refuse a step of an ensemble that was under way at SIGTERM."""
    try:
        return request.result(60) == pytest.approx(right, abs=1e-5)
    except ReadabilityError as error:
        return "Server is stopping" in str(error)


def is_ready(server: TritonServer) -> bool:
    try:
        with urllib.request.urlopen(f"{server.http_url}/v2/health/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_drained_under_load_and_then_ended_a_server_answers_all_that_it_accepted(
    server: TritonServer, truth: InProcessPipeline, made_up_text: Callable[..., str]
) -> None:
    texts = [made_up_text(60, seed=number) for number in range(LONG)]
    right = truth.score(texts, np.full((LONG, 1), 0.5, dtype=np.float32))[:, 0].tolist()
    both = {server.grpc_url, server.http_url}

    def long_request(pipeline: str, url: str) -> list[float]:
        with Scorer(pipeline, None, url, LONG, retries=0) as scorer:
            return scorer.score(texts, 0.5).values.tolist()

    with ThreadPoolExecutor(4) as threads:

        def send(pipeline: str) -> list[Future[list[float]]]:
            return [threads.submit(long_request, pipeline, url) for url in both]

        clients = Clients(server, texts, right)
        until(lambda: clients.urls("right") == both)
        accepted = send("bls_pipeline")
        until(lambda: outstanding.total(server.outstanding) > len(both))  # more than a single text of each client
        command = [sys.executable, "-m", "readability_triton.serving.drain"]
        with subprocess.Popen(command, env=os.environ | {outstanding.FOLDER: str(server.outstanding)}) as drain:
            until(lambda: clients.urls(REFUSED) == both)
            assert drain.wait(60) == 0
        assert [each.result(5) for each in accepted] == [pytest.approx(right, abs=1e-5)] * len(accepted)
        assert is_ready(server)  # Triton knows nothing of it: a load balancer must have been told before

        before = rows(server, "preprocess")
        in_flight = send("ensemble_all")
        until(lambda: rows(server, "preprocess") >= before + LONG * len(in_flight))  # both, not only the first
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not is_ready(server))
        assert all(answered_or_refused(each, right) for each in in_flight)
        clients.join()
        assert server.process.wait(60) == 0

    outcomes = {each.outcome for each in clients.asked if each.sent < signalled}
    assert [outcome for outcome in outcomes if outcome != "right" and REFUSED not in outcome] == []
