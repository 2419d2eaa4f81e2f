"""Policy `shadow` on a server: clients get the ensemble's answers whatever the candidate does; counts are right."""

import json
import re
import shutil
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.scorer import Scorer
from readability_triton.ensemble.config import as_text, read_config
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.stages.pipeline import InProcessPipeline

TEXTS = list(sample_passages().values())[:3]
CANDIDATE = Path(__file__).parent / "candidate.py"
CONFIG = """
name: "candidate"
backend: "python"
max_batch_size: 8
input [
  { name: "excerpt" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "BERT_WEIGHT" data_type: TYPE_FP32 dims: [ 1 ] }
]
output [ { name: "SCORE" data_type: TYPE_FP32 dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
ANSWER_LIMIT_S = 20.0
"""Of the client: far less than a candidate that hangs would take."""

PATIENCE_S = 20.0
N = 6


class Shadowed:
    """A server whose bls_pipeline answers by ensemble_all and has `candidate` in shadow, for every request."""

    def __init__(self, server: TritonServer, folder: Path, log: Path) -> None:
        self.server, self._folder, self._log = server, folder, log

    @contextmanager
    def candidate(self, mood: str | None) -> Iterator[None]:
        file = self._folder / mood if mood else None
        if file:
            file.touch()
        try:
            yield
        finally:
            if file:
                file.unlink()

    def score(self, **parameters: Any) -> np.ndarray:
        with Scorer(url=self.server.grpc_url, fallback=None, timeout_s=ANSWER_LIMIT_S, parameters=parameters) as scorer:
            return scorer.score(TEXTS, 0.5).values

    def counts(self) -> Counter[str]:
        with urllib.request.urlopen(self.server.metrics_url) as response:
            found = re.findall(r'^bls_shadows_total\{outcome="([\w-]+)"\} (\S+)$', response.read().decode(), re.M)
        return Counter({outcome: float(value) for outcome, value in found})

    def wait_for(self, before: Counter[str], n: int) -> dict[str, float]:
        """What was counted since, when it is `n` in all."""
        end = time.monotonic() + PATIENCE_S
        while True:
            added = {name: value - before[name] for name, value in self.counts().items() if value != before[name]}
            if sum(added.values()) >= n or time.monotonic() > end:
                return added
            time.sleep(0.1)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture(scope="module")
def shadowed(modules_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shadowed]:
    version = modules_repository / "candidate" / "1"
    version.mkdir(parents=True)
    shutil.copy(CANDIDATE, version / "model.py")
    (version.parent / "config.pbtxt").write_text(CONFIG)
    log = tmp_path_factory.mktemp("shadow") / "shadow.jsonl"
    file = modules_repository / "bls_pipeline" / "config.pbtxt"
    config = read_config(file)
    settings = {
        "policy": "shadow",
        "candidate": "candidate",
        "share": "1",
        "candidate_timeout_ms": "400",
        "times": "candidate",
        "shadow_log": str(log),
        "shadow_in_flight": "2",
    }
    for key, value in settings.items():
        config.parameters[key].string_value = value
    file.write_text(as_text(config))
    with running(Options(modules_repository)) as server:
        yield Shadowed(server, version, log)


@pytest.fixture(scope="module")
def expected(truth: InProcessPipeline) -> np.ndarray:
    return truth.score(TEXTS, np.full((len(TEXTS), 1), 0.5, np.float32))[:, 0]


def ask_one_by_one(shadowed: Shadowed, expected: np.ndarray) -> None:
    for _ in range(N):
        np.testing.assert_allclose(shadowed.score(), expected, rtol=0, atol=1e-5)


@pytest.fixture
def settled(shadowed: Shadowed) -> Callable[[], Counter[str]]:
    """The counts when nothing is being compared any more."""

    def settle() -> Counter[str]:
        before = shadowed.counts()
        shadowed.score()
        shadowed.wait_for(before, 1)
        return shadowed.counts()

    return settle


def test_a_candidate_that_agrees_is_counted_as_the_same(shadowed, expected, settled) -> None:
    before = settled()
    ask_one_by_one(shadowed, expected)
    counted = shadowed.wait_for(before, N)
    assert sum(counted.values()) == N
    assert set(counted) <= {"same", "dropped"}
    assert counted["same"] >= 1
    line = shadowed.lines()[-1]
    assert (line["verdict"], line["rows"]) == ("same", len(TEXTS))


@pytest.mark.parametrize(
    ("mood", "verdict", "error"),
    [
        ("differs", "differs", None),
        ("fails", "failed", "candidate: .*in a bad mood"),
        ("hangs", "late", "no answer within"),
    ],
)
def test_answers_do_not_feel_a_candidate_in_trouble_and_it_is_counted(
    shadowed, expected, settled, mood: str, verdict: str, error: str | None
) -> None:
    before, n_lines = settled(), len(shadowed.lines())
    with shadowed.candidate(mood):
        ask_one_by_one(shadowed, expected)
        counted = shadowed.wait_for(before, N)
    assert sum(counted.values()) == N
    assert set(counted) <= {verdict, "dropped", "kept-out"}
    assert counted[verdict] >= 1
    lines = [line for line in shadowed.lines()[n_lines:] if line["verdict"] == verdict]
    assert len(lines) == counted[verdict]
    if error:
        assert all(re.search(error, line["error"]) for line in lines)
    else:
        assert all(line["worst"] == pytest.approx(0.25, abs=1e-5) for line in lines)
        assert all(len(line["differing"]) == len(TEXTS) for line in lines)
    assert not any(text[:20] in json.dumps(lines) for text in TEXTS)


def test_when_the_trouble_is_over_it_is_compared_again(shadowed, settled) -> None:
    before = settled()
    shadowed.score()
    assert shadowed.wait_for(before, 1) == {"same": 1}


def test_a_policy_is_compared_with_the_ensemble_in_pairs(shadowed, settled) -> None:
    before = settled()
    shadowed.score(candidate="parallel", times="paired", candidate_timeout_ms=10_000.0)
    assert shadowed.wait_for(before, 1) == {"same": 1}
    line = shadowed.lines()[-1]
    assert (line["answer"], line["candidate"]) == ("ensemble_all", "parallel")
    assert line["again_ms"] > 0


def test_answers_do_not_feel_a_candidate_whose_process_dies(shadowed, expected, settled) -> None:
    before = settled()
    with shadowed.candidate("dies"):
        ask_one_by_one(shadowed, expected)
        counted = shadowed.wait_for(before, N)
    assert sum(counted.values()) == N
    assert set(counted) <= {"failed", "late", "dropped", "kept-out"}
    assert counted.keys() & {"failed", "late"}


def test_a_server_stops_while_a_candidate_hangs(own_repository: Path, tmp_path: Path) -> None:
    """What the candidate holds is not waited for beyond the time that Triton gives any request."""
    version = own_repository / "candidate" / "1"
    version.mkdir(parents=True)
    shutil.copy(CANDIDATE, version / "model.py")
    (version.parent / "config.pbtxt").write_text(CONFIG)
    with running(Options(own_repository)) as server:
        shadowed = Shadowed(server, version, tmp_path / "none")
        (version / "hangs").touch()
        before = shadowed.counts()
        shadowed.score(policy="shadow", candidate="candidate", share=1.0, candidate_timeout_ms=300.0)
        assert shadowed.wait_for(before, 1) == {"late": 1}
