import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from readability_triton.serving import server
from readability_triton.serving.artefacts import ARTEFACTS
from readability_triton.serving.errors import (
    ModelLoadError,
    NotBuiltError,
    PlacementError,
    PortTakenError,
    ServerDiedError,
)
from readability_triton.serving.placement import Placement
from readability_triton.serving.server import Options, running

FAILS_TO_LOAD = r"""#!/bin/sh
cat <<'END'
I1122 17:57:12.001345 6237 model_lifecycle.cc:839] "successfully loaded 'cuml'"
E1122 18:03:34.314224 7202 model_lifecycle.cc:642] "failed to load 'fil' version 1: Internal: No file\n\nAt:\n  x.py"
error: creating server: Internal - failed to load all models
END
exit 1
"""


@pytest.fixture
def use(monkeypatch):
    """Have this runtime be the one that is found."""
    return lambda runtime: monkeypatch.setattr(server, "find_runtime", lambda: runtime)


def test_a_server_answers_within_the_block_and_is_gone_after_it(use, ready_server, tmp_path):
    use(ready_server)
    with running(Options(tmp_path)) as started:
        assert started.process.poll() is None
        with socket.create_connection((started.host, started.http_port)):
            pass
        assert started.http_url == f"http://127.0.0.1:{started.http_port}"
        assert started.grpc_url == f"grpc://127.0.0.1:{started.grpc_port}"
        assert started.metrics_url == f"http://127.0.0.1:{started.metrics_port}/metrics"
        assert len({started.http_port, started.grpc_port, started.metrics_port}) == 3
    assert started.process.poll() is not None


def test_the_server_is_stopped_when_the_block_fails(use, ready_server, tmp_path):
    use(ready_server)
    with pytest.raises(KeyError), running(Options(tmp_path)) as started:
        raise KeyError
    assert started.process.poll() is not None


def test_the_log_goes_where_asked_and_models_are_shown_as_they_load(use, ready_server, tmp_path):
    use(ready_server)
    log_file = tmp_path / "new" / "folder" / "triton.log"
    with running(Options(tmp_path, log_file=log_file)) as started:
        assert started.read_log() == log_file.read_text().splitlines()
        assert "successfully loaded 'cuml'" in log_file.read_text()
    assert log_file.is_file()


def test_ports_asked_for_are_passed_on_and_model_control_is_closed(use, ready_server, tmp_path):
    use(ready_server)
    http, grpc, metrics = server.free_ports(3)
    with running(Options(tmp_path, Placement.CPU, "127.0.0.1", http, grpc, metrics)) as started:
        process = Path(f"/proc/{started.process.pid}")
        arguments, environment = ((process / name).read_text().split("\0") for name in ("cmdline", "environ"))
    assert {f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"} <= set(arguments)
    assert {f"--{each}-address=127.0.0.1" for each in ("http", "grpc", "metrics")} <= set(arguments)
    assert f"--model-repository={tmp_path}" in arguments
    assert set(started.control.arguments()) <= set(arguments)
    assert not any("trace" in argument for argument in arguments if "restricted" not in argument)
    assert "CUDA_VISIBLE_DEVICES=" in environment


def test_what_is_not_built_is_refused_before_a_server_is_looked_for(tmp_path, no_triton):
    (tmp_path / ARTEFACTS[0].parts[0]).mkdir()
    with (
        pytest.raises(NotBuiltError, match=r"bert-large/1/model\.pt; run `readability build`"),
        running(Options(tmp_path)),
    ):
        pass


def test_a_model_that_does_not_load_is_named_with_the_reason(use, fake_runtime, tmp_path):
    use(fake_runtime(FAILS_TO_LOAD))
    shown = []
    with pytest.raises(ModelLoadError) as failed, running(Options(tmp_path), shown.append):
        pass
    assert str(failed.value) == "Triton did not start:\n  fil: Internal: No file"


def test_where_no_reason_is_known_the_end_of_the_log_is_shown(use, fake_runtime, tmp_path):
    use(fake_runtime("#!/bin/sh\nfor n in 1 2 3 4 5 6 7; do echo line $n; done; exit 1"))
    with pytest.raises(ModelLoadError) as failed, running(Options(tmp_path)):
        pass
    assert str(failed.value).splitlines()[1:] == [f"  line {number}" for number in (3, 4, 5, 6, 7)]


def test_a_server_that_is_never_ready_is_given_up_and_stopped(use, fake_runtime, tmp_path, monkeypatch):
    use(fake_runtime("#!/bin/sh\nexec sleep 60"))
    monkeypatch.setattr(server, "READY_TIMEOUT_S", 0)
    started = []
    monkeypatch.setattr(server.TritonServer, "wait_until_ready", keep(server.TritonServer.wait_until_ready, started))
    with pytest.raises(TimeoutError, match="not ready after 0 s; its log is"), running(Options(tmp_path)):
        pass
    assert started[0].process.poll() is not None


def keep(method, started):
    def wait_until_ready(self, on_progress):
        started.append(self)
        return method(self, on_progress)

    return wait_until_ready


def test_a_server_that_does_not_stop_when_asked_is_killed(use, ready_server, fake_runtime, tmp_path, monkeypatch):
    script = ready_server.executable.read_text().partition("\n")[2]
    use(fake_runtime("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + script))
    with running(Options(tmp_path)) as started:
        monkeypatch.setattr(server, "EXIT_TIMEOUT_S", -14.9)
    assert started.process.poll() == -9


STUCK = """\
import mmap, pathlib, signal, time
def end(*_):
    for left in (3, 2, 2, 2, 2):
        print(f'"Timeout 9: Found {left} live models and 0 in-flight non-inference requests"', flush=True)
    while True:
        time.sleep(60)
signal.signal(signal.SIGTERM, end)
"""


def test_a_server_that_waits_for_models_that_it_cannot_unload_is_killed_soon(use, ready_server, fake_runtime, tmp_path):
    use(fake_runtime(STUCK + ready_server.executable.read_text().partition("\n")[2]))
    with running(Options(tmp_path)) as started:
        started.control.was_used = True
        start = time.monotonic()
    assert started.process.poll() == -9
    assert time.monotonic() - start < 10


def test_a_server_whose_models_can_all_be_unloaded_gets_its_time(
    use, ready_server, fake_runtime, tmp_path, monkeypatch
):
    use(fake_runtime(STUCK + ready_server.executable.read_text().partition("\n")[2]))
    with running(Options(tmp_path)):
        monkeypatch.setattr(server, "EXIT_TIMEOUT_S", -14)
        start = time.monotonic()
    assert time.monotonic() - start >= 1


def test_shared_memory_of_a_server_that_is_killed_is_removed(use, ready_server, fake_runtime, tmp_path, monkeypatch):
    region = tmp_path / f"triton_python_backend_shm_region_{uuid.uuid4()}"
    region.write_bytes(b" " * 4096)
    mapping = f"region = open({str(region)!r}, 'r+b')\nmapped = mmap.mmap(region.fileno(), 4096)\n"
    use(fake_runtime(STUCK + mapping + ready_server.executable.read_text().partition("\n")[2]))
    with running(Options(tmp_path)) as started:
        monkeypatch.setattr(server, "EXIT_TIMEOUT_S", -14.9)
    assert started.process.poll() == -9
    assert not region.exists()


def test_traces_are_asked_for_as_they_are_wanted(use, ready_server, tmp_path):
    use(ready_server)
    file = tmp_path / "new" / "traces.json"
    with running(Options(tmp_path, trace_file=file, trace_rate=7)) as started:
        arguments = Path(f"/proc/{started.process.pid}/cmdline").read_text().split("\0")
        (tmp_path / "new" / "traces.json.parts" / "part.0").write_text('[{"id": 1}]')
    assert {f"--trace-config=triton,file={file}.parts/part", "--trace-config=rate=7"} <= set(arguments)
    assert file.read_text() == '[{"id": 1}]'


def test_a_server_that_ends_by_itself_is_reported_with_its_exit_code_and_log(use, ready_server, tmp_path):
    use(ready_server)
    with running(Options(tmp_path)) as started:
        os.kill(started.process.pid, 15)
        with pytest.raises(ServerDiedError, match=rf"exit code -15; its log is {started.log_file}"):
            started.wait()


def test_a_taken_port_is_refused_before_the_server_starts(use, ready_server, tmp_path):
    use(ready_server)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port}"), running(Options(tmp_path, grpc_port=port)):
            pass


def test_a_gpu_that_is_not_there_is_refused_before_the_server_starts(use, ready_server, tmp_path, monkeypatch):
    use(ready_server)
    monkeypatch.setattr("readability_triton.serving.placement.missing_requirements", lambda repository: ["no GPU"])
    with pytest.raises(PlacementError), running(Options(tmp_path, Placement.GPU)):
        pass


def test_a_server_does_not_outlive_a_parent_that_is_killed(ready_server, tmp_path):
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from readability_triton.serving import server\n"
        "from readability_triton.serving.runtime import Runtime\n"
        f"server.find_runtime = lambda: Runtime('a test', Path({str(ready_server.executable)!r}), {{}})\n"
        f"with server.running(server.Options(Path({str(tmp_path)!r}))) as started:\n"
        "    print(started.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    pid = int(parent.stdout)
    for _ in range(200):
        if not is_running(pid):
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is still there")


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie that init has yet to bury."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
