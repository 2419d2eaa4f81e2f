"""`readability serve`, as a person runs it: what it prints, how it stops, how it fails."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from readability_triton.client.scorer import Scorer
from readability_triton.serving.gpu import missing_requirements
from readability_triton.serving.repository import default_repository

READABILITY = [sys.executable, "-m", "readability_triton.cli.main"]
FREE_PORTS = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen, dict[str, str]]]:
    """A running `readability serve` and its three addresses."""
    command = [*READABILITY, "serve", *FREE_PORTS, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = [process.stdout.readline().split() for _ in range(3)]
        yield process, dict(lines)
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*READABILITY, *arguments], capture_output=True, text=True, timeout=120)


def triton_processes() -> set[str]:
    listing = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
    return {
        line.split()[0] for line in listing.splitlines() if re.search(r"bin/tritonserver|python_backend_stub", line)
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_answers_requests_in_flight(number: signal.Signals) -> None:
    before, shared_memory = triton_processes(), set(Path("/dev/shm").iterdir())
    with serving() as (process, addresses):
        assert list(addresses) == ["http", "grpc", "metrics"]
        long_work = [f"{row} " + "word " * 400 for row in range(32)]
        for url in (addresses["grpc"], addresses["http"]):
            Scorer("bls_pipeline", None, url).score(["warm up"])
        with ThreadPoolExecutor(4) as pool:
            calls = [
                pool.submit(Scorer(name, None, url, batch_size=64).score, long_work, 0.5)
                for name in ("bls_pipeline", "ensemble_all")
                for url in (addresses["grpc"], addresses["http"])
            ]
            time.sleep(0.5)  # The requests are in the server by now, and take several seconds in all.
            assert not all(call.done() for call in calls)
            process.send_signal(number)
            assert all(len(call.result(60).values) == len(long_work) for call in calls)
        assert process.wait(60) == 0
        assert "Stopped." in process.stderr.read()
    assert not triton_processes() - before
    assert set(Path("/dev/shm").iterdir()) <= shared_memory


def test_nothing_is_left_behind_when_serve_is_killed() -> None:
    before = triton_processes()
    with serving() as (process, _):
        assert triton_processes() - before
        process.kill()
        deadline = time.monotonic() + 60
        while triton_processes() - before and time.monotonic() < deadline:
            time.sleep(0.2)
    assert not triton_processes() - before


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", *FREE_PORTS[2:], "--http-port", port)
    assert result.returncode == 8
    assert port in result.stderr


def test_a_repository_that_is_not_built_says_what_to_run(own_repository: Path) -> None:
    (own_repository / "cuml" / "1" / "checkpoint.tl").unlink()
    result = run("serve", *FREE_PORTS, "--model-repository", str(own_repository))
    assert result.returncode == 4
    assert "cuml/1/checkpoint.tl" in result.stderr
    assert "readability build" in result.stderr


@pytest.mark.parametrize(
    ("file", "spoilt", "reason"),
    [
        ("postprocess/1/model.py", "import no_such_module\n", "postprocess: .*No module named 'no_such_module'"),
        ("cuml/1/checkpoint.tl", "not a forest", "cuml: "),
        ("bert-large/1/model.pt", "not TorchScript", "bert-large: "),
        ("preprocess/config.pbtxt", 'name: "preprocess" backend: "no_such_backend"', "preprocess"),
        ("ensemble_all/config.pbtxt", 'name: "ensemble_all" platform: "ensemble"', "ensemble"),
    ],
)
def test_a_model_that_does_not_load_is_said_in_a_few_lines(
    own_repository: Path, file: str, spoilt: str, reason: str
) -> None:
    (own_repository / file).unlink()
    (own_repository / file).write_text(spoilt)
    result = run("serve", *FREE_PORTS, "--model-repository", str(own_repository))
    assert result.returncode == 5
    assert re.search(reason, result.stderr)
    assert len(result.stderr.splitlines()) < 12


@pytest.mark.skipif(
    not missing_requirements(default_repository()),
    reason="this machine meets all requirements for the GPU",
)
def test_the_gpu_placement_without_a_gpu_says_so_and_stops() -> None:
    result = run("serve", *FREE_PORTS, "--placement", "gpu")
    assert result.returncode == 7
    assert "no NVIDIA GPU" in result.stderr


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """The log and the addresses of a server with --log-file."""
    log = tmp_path_factory.mktemp("serve") / "logs" / "triton.log"
    with serving("--placement", "cpu", "--log-file", str(log)) as (_, addresses):
        yield log, addresses


def test_the_log_goes_where_the_option_says(logged: tuple[Path, dict[str, str]]) -> None:
    assert "successfully loaded 'bls_pipeline'" in logged[0].read_text()


def test_it_listens_on_loopback_only(logged: tuple[Path, dict[str, str]]) -> None:
    ports = {int(re.search(r":(\d+)(/|$)", address)[1]) for address in logged[1].values()}
    assert len(ports) == 3
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    everywhere = [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    listening = [local for _, local, _, state, *_ in sockets + everywhere if state == "0A"]
    addresses = {local.split(":")[0] for local in listening if int(local.split(":")[1], 16) in ports}
    assert all(address.endswith("0100007F") for address in addresses)  # 127.0.0.1 in the kernel's byte order


def test_metrics_are_served_where_it_says(logged: tuple[Path, dict[str, str]]) -> None:
    with urllib.request.urlopen(logged[1]["metrics"]) as response:
        assert "nv_inference_request_success" in response.read().decode()
