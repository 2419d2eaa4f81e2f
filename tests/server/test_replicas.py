"""Two replicas behind HAProxy, as `deploy/haproxy` sets it up: one dies, one drains, both change their models."""

import csv
import io
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from readability_triton.client.errors import ModelUnavailableError, ReadabilityError, ServerUnreachableError
from readability_triton.client.scorer import Scorer
from readability_triton.serving.ports import free_ports
from readability_triton.serving.repository import copy_repository, default_repository
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.forest import fit_forest

HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
CONFIG = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
PATIENCE_S = 60

pytestmark = pytest.mark.skipif(not Path(HAPROXY).is_file(), reason="HAProxy is not installed: apt-get install haproxy")


class Balancer:
    """A running HAProxy before two replicas."""

    def __init__(self, ports: list[int], folder: Path) -> None:
        self.http, self.grpc, self.figures = (
            f"{scheme}://127.0.0.1:{port}" for scheme, port in zip(("http", "grpc", "http"), ports, strict=True)
        )
        self.socket = folder / "haproxy.sock"

    def say(self, command: str) -> str:
        """What the runtime API answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def servers(self, column: str) -> dict[tuple[str, str], str]:
        """A column of HAProxy's statistics for each backend and replica."""
        table = csv.DictReader(io.StringIO(self.say("show stat").lstrip("# ")))
        return {(row["pxname"], row["svname"]): row[column] for row in table if row["svname"] in ("a", "b")}


@contextmanager
def balanced(a: TritonServer, b: TritonServer, folder: Path) -> Iterator[Balancer]:
    ports = list(free_ports(3, "127.0.0.1"))
    balancer = Balancer(ports, folder)
    names = ("HTTP_PORT", "GRPC_PORT", "FIGURES_PORT")
    replicas = {
        f"REPLICA_{name}{suffix}": str(value)
        for name, server in (("A", a), ("B", b))
        for suffix, value in (("", server.host), ("_HTTP", server.http_port), ("_GRPC", server.grpc_port))
    }
    own = {"BIND": "127.0.0.1", "HAPROXY_SOCKET": str(balancer.socket)}
    environment = {**os.environ, **own, **replicas, **dict(zip(names, map(str, ports), strict=True))}
    process = subprocess.Popen([HAPROXY, "-db", "-q", "-f", str(CONFIG)], env=environment)
    try:
        until(lambda: balancer.socket.exists() and set(balancer.servers("status").values()) == {"UP"})
        yield balancer
    finally:
        process.terminate()
        process.wait()


def until(condition: Callable[[], bool]) -> float:
    """Seconds until a condition holds."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > PATIENCE_S:
            raise TimeoutError("the balancer's replicas are not as expected")
        time.sleep(0.05)
    return time.monotonic() - started


class Load:
    """Threads that ask by gRPC and HTTP until the block ends, and judge each answer."""

    def __init__(self, balancer: Balancer, texts: list[str], allowed: dict[str, set[float]]) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self._texts, self._allowed = texts, allowed
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for url in (balancer.grpc, balancer.http) * 2]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, url: str) -> None:
        number = 0
        with Scorer("bls_pipeline", None, url) as scorer:
            while not self._ends.is_set():
                number += 1
                text = self._texts[number % len(self._texts)]
                self._judge(text, scorer, url)

    def _judge(self, text: str, scorer: Scorer, url: str) -> None:
        try:
            score = self._ask_again(text, scorer)
        except ReadabilityError as error:
            self.counts["lost"] += 1
            self.errors.append(f"{url}: {type(error).__name__}: {error}")
            return
        is_right = min(abs(score - each) for each in self._allowed[text]) <= 1e-5
        self.counts["right" if is_right else "wrong"] += 1

    def _ask_again(self, text: str, scorer: Scorer) -> float:
        """The score; a request whose replica went away before it answered is sent again, once."""
        try:
            return float(scorer.score([text], 0.5).values[0])
        except (ModelUnavailableError, ServerUnreachableError) as error:
            self.counts["sent again by the client"] += 1
            self.errors.append(f"sent again: {type(error).__name__}: {error}")
            return float(scorer.score([text], 0.5).values[0])


def other_models(folder: Path) -> Path:
    """The repository with another forest, which gives other scores."""
    repository = copy_repository(default_repository(), folder)
    forest = repository / "cuml" / "1" / "checkpoint.tl"
    forest.unlink()
    features = np.random.default_rng(0).normal(size=(200, 207)).astype(np.float32)
    fit_forest(features, features[:, 0].astype(float), seed=0).serialize(str(forest))
    return repository


def scores(repository: Path, texts: list[str]) -> list[float]:
    weights = np.full((len(texts), 1), 0.5, dtype=np.float32)
    return InProcessPipeline(repository).score(texts, weights)[:, 0].tolist()


def is_even(balancer: Balancer) -> Callable[[], bool]:
    """Whether, since the last time it was asked, each replica got at least a third of the requests."""
    last = {name: int(value) for name, value in balancer.servers("stot").items()}

    def check() -> bool:
        now = {name: int(value) for name, value in balancer.servers("stot").items()}
        new = Counter()
        for (_, replica), value in now.items():
            new[replica] += value
        for (_, replica), value in last.items():
            new[replica] -= value
        if sum(new.values()) < 12:
            return False
        last.update(now)
        return min(new["a"], new["b"]) * 3 >= sum(new.values())

    return check


def test_replicas_die_drain_and_change_their_models_without_a_wrong_answer(
    tmp_path: Path, made_up_text: Callable[..., str]
) -> None:
    texts = [made_up_text(5 + number, seed=number) for number in range(8)]
    old, new = default_repository(), other_models(tmp_path / "new")
    allowed = {text: set(pair) for text, *pair in zip(texts, scores(old, texts), scores(new, texts), strict=True)}
    with ExitStack() as stack:
        a, b = (stack.enter_context(running(Options())) for _ in "ab")
        balancer = stack.enter_context(balanced(a, b, tmp_path))
        with Load(balancer, texts, allowed) as load:
            until(is_even(balancer))
            a.process.kill()
            down = until(lambda: "DOWN" in balancer.servers("status")["grpc", "a"])
            a.restart()
            until(lambda: set(balancer.servers("status").values()) == {"UP"})
            even_after_restart = until(is_even(balancer))
            roll(stack, balancer, "a", a, new)
            roll(stack, balancer, "b", b, new)
            even_after_roll = until(is_even(balancer))
        figures = urllib.request.urlopen(f"{balancer.figures}/metrics", timeout=5).read().decode()
        with Scorer("bls_pipeline", None, balancer.grpc) as scorer:
            assert scorer.score(texts, 0.5).values.tolist() == pytest.approx(scores(new, texts), abs=1e-5)
    print(f"\n{dict(load.counts)}; down noticed in {down:.1f} s, even {even_after_restart:.1f} s after the restart")
    print(f"even {even_after_roll:.1f} s after both changed; {load.errors[:5]}")
    assert load.counts["wrong"] == 0, load.errors
    assert load.counts["lost"] == 0, load.errors
    assert load.counts["right"] > 50
    assert 'haproxy_server_http_responses_total{proxy="grpc",server="a",code="2xx"}' in figures


def roll(stack: ExitStack, balancer: Balancer, name: str, replica: TritonServer, repository: Path) -> None:
    """Drain a replica, start another with new models on the same ports, and let requests in again."""
    for backend in ("grpc", "http"):
        balancer.say(f"set server {backend}/{name} state drain")
    until(lambda: {balancer.servers("scur")[backend, name] for backend in ("grpc", "http")} == {"0"})
    ports = replica.http_port, replica.grpc_port, replica.metrics_port
    replica.stop()
    stack.enter_context(running(Options(repository, http_port=ports[0], grpc_port=ports[1], metrics_port=ports[2])))
    for backend in ("grpc", "http"):
        balancer.say(f"set server {backend}/{name} state ready")
    until(lambda: {balancer.servers("status")[backend, name] for backend in ("grpc", "http")} == {"UP"})
