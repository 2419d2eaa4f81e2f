"""Models whose process dies or hangs: they are served again soon, and until then no answer is wrong."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from readability_triton.client.errors import ModelUnavailableError, ReadabilityError, ServerUnreachableError
from readability_triton.client.scorer import Scorer
from readability_triton.serving.control import GRPC_KEY_NAME, KEY_NAME
from readability_triton.serving.outstanding import outstanding
from readability_triton.serving.repository import default_repository
from readability_triton.serving.server import Options, TritonServer, running
from readability_triton.serving.stubs import find_stubs, shared_memory
from readability_triton.serving.tracing import PART
from readability_triton.stages.pipeline import InProcessPipeline

READABILITY = [sys.executable, "-m", "readability_triton.cli.main"]
FREE_PORTS = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
PIPELINES = ("ensemble_all", "bls_pipeline")
MODELS = ("preprocess", "bert-large", "cuml", "postprocess", "bls_pipeline")
RECOVERY_S = 20
TOLERANCE = 1e-5
WEIGHT = 0.5  # so that a wrong answer of either scorer shows
TEXTS = (
    "A cat sat on the mat.",
    "Notwithstanding the foregoing, liability is several.",
    "Photosynthesis turns light into sugar, which the plant stores in its leaves.",
    "Stop! Run! The dog is here. It has my hat.",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, linked file by file."""
    copy = tmp_path_factory.mktemp("supervised") / "model_repository"
    return shutil.copytree(
        default_repository(), copy, copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def supervised(repository: Path, lines: list[str]) -> Iterator[TritonServer]:
    """A server of its own; after all that is done to it, it ends soon and leaves nothing behind."""
    with running(Options(repository), on_reload=lines.append) as server:
        yield server
        regions = shared_memory(server.process.pid)
        start = time.monotonic()
    assert time.monotonic() - start < 15
    assert len(regions) >= len(MODELS)
    assert not any(region.exists() for region in regions)


@pytest.fixture(scope="module")
def scores(truth: InProcessPipeline) -> dict[str, float]:
    """The right ones."""
    values = truth.score(TEXTS, np.full((len(TEXTS), 1), WEIGHT, dtype=np.float32))[:, 0]
    assert np.diff(np.sort(values)).min() > 1000 * TOLERANCE
    return dict(zip(TEXTS, values, strict=True))


@pytest.fixture
def ask(supervised: TritonServer, scores: dict[str, float]) -> Callable[..., dict[str, list[bool]]]:
    """Send both pipelines one text after the other until `enough`: which requests were answered, the last ones last.

    Every answer is right, every error says that a model is unavailable.
    """

    def of_one(pipeline: str, enough: Callable[[list[bool]], bool]) -> list[bool]:
        answered: list[bool] = []
        with Scorer(pipeline, None, supervised.grpc_url) as scorer:
            for text in cycle(TEXTS):
                try:
                    value = scorer.score([text], WEIGHT).values[0]
                except (ModelUnavailableError, ServerUnreachableError):
                    answered.append(False)
                else:
                    assert abs(value - scores[text]) <= TOLERANCE
                    answered.append(True)
                if enough(answered):
                    return answered
        raise AssertionError

    def of_both(enough: Callable[[list[bool]], bool]) -> dict[str, list[bool]]:
        with ThreadPoolExecutor(len(PIPELINES)) as pool:
            return dict(zip(PIPELINES, pool.map(of_one, PIPELINES, [enough] * len(PIPELINES)), strict=True))

    return of_both


@pytest.fixture
def recovered(lines: list[str]) -> Callable[[int], Callable[[list[bool]], bool]]:
    """Whether so many models were loaded again since, and a whole round of texts is answered."""
    before, deadline = len(lines), time.monotonic() + RECOVERY_S

    def since(models: int) -> Callable[[list[bool]], bool]:
        def enough(answered: list[bool]) -> bool:
            assert time.monotonic() < deadline, (lines[before:], answered[-10:])
            return len(lines) >= before + models and answered[-len(TEXTS) :] == [True] * len(TEXTS)

        return enough

    return since


def stub_of(server: TritonServer, model: str) -> int:
    """One of the model's processes."""
    return next(stub.pid for stub in find_stubs(server.process.pid) if stub.model == model)


def test_every_instance_of_every_model_runs_in_a_stub_that_is_found(supervised: TritonServer) -> None:
    stubs = find_stubs(supervised.process.pid)
    instances = [f"{model}_0_0" for model in MODELS]
    assert sorted(stub.instance for stub in stubs) == sorted(instances)
    assert {stub.model for stub in stubs} == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_whose_process_is_killed_is_served_again(
    supervised: TritonServer, lines: list[str], ask: Callable, recovered: Callable, model: str
) -> None:
    os.kill(stub_of(supervised, model), signal.SIGKILL)
    ask(recovered(1))
    assert lines[-1].startswith(f"{model}: its process died; reloaded in ")


@pytest.mark.parametrize("model", ["bls_pipeline", "bert-large"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_when_a_process_dies_with_answers_outstanding_every_client_gets_an_error_and_then_service(
    supervised: TritonServer, lines: list[str], ask: Callable, model: str, pipeline: str
) -> None:
    if (model, pipeline) == ("bls_pipeline", "ensemble_all"):
        pytest.skip("ensemble_all does not call bls_pipeline")
    before = len(lines)

    def bulk() -> float:
        with Scorer(pipeline, None, supervised.grpc_url, 256, timeout_s=60) as scorer:
            with pytest.raises(ReadabilityError):
                scorer.score(TEXTS[1:3] * 128, WEIGHT)
            return time.monotonic()

    with ThreadPoolExecutor(3) as threads:
        asking = [threads.submit(bulk) for _ in range(3)]
        pid = stub_of(supervised, model)
        deadline = time.monotonic() + RECOVERY_S
        while not outstanding(supervised.outstanding, pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        assert max(each.result() for each in asking) - killed < 5
    ask(lambda answered: answered[-len(TEXTS) :] == [True] * len(TEXTS))
    assert time.monotonic() - killed < RECOVERY_S
    assert re.match(rf"the process died of {model} with \d+ requests? unanswered; starting the server", lines[before])
    assert lines[-1].startswith("the server is ready again after ")


def test_two_processes_killed_at_once_are_both_replaced(
    supervised: TritonServer, lines: list[str], ask: Callable, recovered: Callable
) -> None:
    for model in ("preprocess", "cuml"):
        os.kill(stub_of(supervised, model), signal.SIGKILL)
    ask(recovered(2))
    assert {line.partition(":")[0] for line in lines[-2:]} == {"preprocess", "cuml"}


def test_a_process_that_is_stopped_and_goes_on_gives_no_stale_answers(
    supervised: TritonServer, lines: list[str], ask: Callable, recovered: Callable
) -> None:
    pid = stub_of(supervised, "cuml")
    enough, start = recovered(1), time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, lambda answered: time.monotonic() - start > 4 and enough(answered))
        time.sleep(0.2)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        asking.result(RECOVERY_S)
    assert lines[-1].startswith("cuml: its process was stopped; reloaded in ")


def test_a_model_whose_files_are_broken_by_now_harms_no_other(
    supervised: TritonServer, repository: Path, lines: list[str], ask: Callable, recovered: Callable
) -> None:
    file = repository / "postprocess" / "1" / "model.py"
    file.unlink()
    file.write_text("import no_such_module\n")
    enough = recovered(2)
    os.kill(stub_of(supervised, "postprocess"), signal.SIGKILL)
    start, before = time.monotonic(), len(lines)
    answered = ask(lambda answers: time.monotonic() - start > 2 and len(lines) > before)
    assert all(answered["bls_pipeline"])
    assert not answered["ensemble_all"][-1]
    assert "No module named 'no_such_module'; next attempt in 1 s" in lines[before]
    file.write_bytes((default_repository() / "postprocess" / "1" / "model.py").read_bytes())
    ask(lambda answers: enough(answers) and "reloaded" in lines[-1])


@pytest.mark.parametrize("key", [{}, {KEY_NAME: "guessed"}], ids=["no key", "a wrong key"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/repository/models/cuml/load", "{}"),
        ("/v2/repository/models/cuml/unload", "{}"),
        ("/v2/trace/setting", '{"trace_level": ["TIMESTAMPS"]}'),
        ("/v2/logging", '{"log_verbose_level": 1}'),
    ],
)
def test_http_clients_without_the_key_are_refused(
    supervised: TritonServer, path: str, body: str, key: dict[str, str]
) -> None:
    connection = http.client.HTTPConnection(supervised.host, supervised.http_port, timeout=10)
    connection.request("POST", path, body, key)
    assert connection.getresponse().status == http.HTTPStatus.FORBIDDEN
    connection.close()


@pytest.mark.parametrize("key", [{}, {GRPC_KEY_NAME: "guessed"}], ids=["no key", "a wrong key"])
@pytest.mark.parametrize(
    "call",
    [
        lambda client, key: client.load_model("cuml", headers=key),
        lambda client, key: client.unload_model("cuml", headers=key),
        lambda client, key: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}, headers=key),
        lambda client, key: client.update_log_settings({"log_verbose_level": 1}, headers=key),
    ],
    ids=["load", "unload", "trace", "logging"],
)
def test_grpc_clients_without_the_key_are_refused(
    supervised: TritonServer, call: Callable, key: dict[str, str]
) -> None:
    with (
        tritonclient.grpc.InferenceServerClient(f"{supervised.host}:{supervised.grpc_port}") as client,
        pytest.raises(InferenceServerException, match="restricted"),
    ):
        call(client, key)


def test_the_key_opens_both(supervised: TritonServer) -> None:
    headers = {GRPC_KEY_NAME: supervised.control.key}
    with tritonclient.grpc.InferenceServerClient(f"{supervised.host}:{supervised.grpc_port}") as client:
        assert client.get_trace_settings(headers=headers, as_json=True)
    supervised.control.reload("cuml")
    assert supervised.control.key not in supervised.log_file.read_text()


def test_serve_says_what_died_and_stops_in_order_even_while_a_model_is_loaded(tmp_path: Path) -> None:
    traces = tmp_path / "traces.json"
    command = [*READABILITY, "serve", *FREE_PORTS, "--trace-file", str(traces), "--trace-rate", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            addresses = dict(process.stdout.readline().split() for _ in range(3))
            listing = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True)
            stubs = {stub.model: stub.pid for stub in find_stubs(int(listing.stdout))}
            with Scorer("ensemble_all", None, addresses["grpc"]) as scorer:
                for _ in range(PART):
                    scorer.score(TEXTS)
                os.kill(stubs["cuml"], signal.SIGKILL)
                with pytest.raises(ModelUnavailableError, match="not healthy"):
                    scorer.score(TEXTS)
            os.kill(stubs["bert-large"], signal.SIGKILL)
            time.sleep(0.6)  # By now it is being loaded, which takes longer than this.
            process.terminate()
            _, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert re.search(r"^cuml: its process died; reloaded in \d+\.\d s$", stderr, re.MULTILINE)
    assert "does not load" not in stderr
    assert {"ensemble_all", "bert-large", "cuml"} <= {step.get("model_name") for step in json.loads(traces.read_text())}
