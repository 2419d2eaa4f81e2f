import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main

READY = """\
import http.server, sys
port = next(int(each.partition("=")[2]) for each in sys.argv if each.startswith("--http-port="))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
BROKEN = """print('''E1122 18:03:34.3 7202 model_lifecycle.cc:642] "failed to load 'x' version 1: Not found: x"''')"""
ANY_PORTS = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


@pytest.fixture
def serve(tmp_path):
    """Start the command over an empty repository, in a process of its own."""
    started = []
    (tmp_path / "repository").mkdir()

    def start(*arguments: str, least_uptime_s: float | None = None) -> subprocess.Popen:
        code = "from readability_triton.cli.main import main; main()"
        if least_uptime_s is not None:
            code = f"import readability_triton.cli.serve as serve; serve.LEAST_UPTIME_S = {least_uptime_s}; {code}"
        program = [sys.executable, "-c", code, "serve", *ANY_PORTS]
        options = ["--model-repository", str(tmp_path / "repository"), *arguments]
        process = subprocess.Popen([*program, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_with_exit_code_0(fake_tritonserver, serve, number):
    fake_tritonserver(READY)
    process = serve()
    addresses = [process.stdout.readline() for _ in range(3)]
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.fullmatch(r"http     http://127\.0\.0\.1:\d+\n", addresses[0])
    assert re.fullmatch(r"grpc     grpc://127\.0\.0\.1:\d+\n", addresses[1])
    assert re.fullmatch(r"metrics  http://127\.0\.0\.1:\d+/metrics\n", addresses[2])
    assert out == ""
    assert err.endswith("Stopping: answering requests in flight …\nStopped.\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(addresses[0].rpartition(":")[2])))


SLOW_TO_STOP = """\
import pathlib, signal, sys, time
def finish(*_):
    pathlib.Path({asked!r}).touch()
    time.sleep(0.5)
    pathlib.Path({answered!r}).touch()
    sys.exit()
signal.signal(signal.SIGTERM, finish)
"""


def test_a_second_signal_does_not_cut_short_what_is_being_answered(fake_tritonserver, serve, tmp_path):
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    fake_tritonserver(SLOW_TO_STOP.format(asked=str(asked), answered=str(answered)) + READY)
    process = serve()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    while not asked.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert answered.exists()


def test_a_server_that_dies_later_is_started_again_on_the_same_ports(fake_tritonserver, serve, tmp_path):
    fake_tritonserver(f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n" + READY)
    process = serve(least_uptime_s=0.0)
    addresses = [process.stdout.readline() for _ in range(3)]
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert [process.stdout.readline() for _ in range(3)] == addresses
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "ended by itself with exit code -9" in err
    assert "starting it again" in err


def test_a_server_that_dies_is_exit_code_6(fake_tritonserver, serve, tmp_path):
    fake_tritonserver(f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n" + READY)
    process = serve()
    process.stdout.readline()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6
    assert "readability: Triton ended by itself with exit code -9; its log is " in err


def run(*arguments: str):
    return CliRunner().invoke(main, ["serve", *map(str, arguments)])


@pytest.fixture(autouse=True)
def handlers():
    """The command sets handlers for signals; give this process its own back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_model_that_does_not_load_is_exit_code_5(fake_tritonserver, tmp_path):
    fake_tritonserver(BROKEN)
    result = run(*ANY_PORTS, "--model-repository", tmp_path, "--log-file", tmp_path / "triton.log")
    assert result.exit_code == 5
    assert result.stdout == ""
    assert result.stderr.splitlines()[-2:] == ["readability: Triton did not start:", "  x: Not found: x"]
    assert "failed to load" in (tmp_path / "triton.log").read_text()


def test_what_is_not_built_is_exit_code_4(tmp_path):
    (tmp_path / "cuml").mkdir()
    result = run("--model-repository", tmp_path)
    assert result.exit_code == 4
    assert result.stderr.splitlines()[-1] == "readability: not built: cuml/1/checkpoint.tl; run `readability build`"


def test_a_gpu_that_is_not_there_is_exit_code_7(fake_tritonserver, tmp_path, monkeypatch):
    fake_tritonserver(READY)
    monkeypatch.setattr("readability_triton.serving.placement.missing_requirements", lambda repository: ["no GPU"])
    result = run(*ANY_PORTS, "--model-repository", tmp_path, "--placement", "gpu")
    assert result.exit_code == 7
    assert "--placement cpu runs the same models" in result.stderr


def test_a_taken_port_is_exit_code_8(fake_tritonserver, tmp_path):
    fake_tritonserver(READY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(*ANY_PORTS[2:], "--http-port", port, "--model-repository", tmp_path)
    assert result.exit_code == 8
    assert f"port {port} on 127.0.0.1 cannot be used" in result.stderr


def test_no_triton_is_exit_code_3(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("readability_triton.serving.runtime.CONTAINER_EXECUTABLE", tmp_path / "tritonserver")
    monkeypatch.setattr("readability_triton.serving.runtime.importlib.util.find_spec", lambda name: None)
    result = run("--model-repository", tmp_path)
    assert result.exit_code == 3
    assert "pip install nvidia-pytriton" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--http-port", "70000"),
        ("--placement", "tpu"),
        ("--model-repository", "/none"),
        ("--trace-rate", "10"),
        ("--trace-file", "traces.json", "--trace-rate", "0"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
