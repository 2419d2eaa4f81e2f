"""Start Triton over a model repository, wait until it is ready, stop it with requests in flight answered."""

import ctypes
import http
import http.client
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from readability_triton.serving import log, outstanding
from readability_triton.serving.artefacts import check_built
from readability_triton.serving.backend_directory import lay_out
from readability_triton.serving.control import ControlError, ModelControl
from readability_triton.serving.environment import IMPORT_ROOT, server_environment
from readability_triton.serving.errors import ModelLoadError, PortTakenError, ServerDiedError
from readability_triton.serving.gpu import find_gpus
from readability_triton.serving.placement import Placement
from readability_triton.serving.ports import check_free, free_ports
from readability_triton.serving.repository import default_repository
from readability_triton.serving.runtime import Runtime, find_runtime
from readability_triton.serving.stubs import shared_memory
from readability_triton.serving.supervisor import Supervisor
from readability_triton.serving.tracing import DEFAULT_RATE, Tracing

EXIT_TIMEOUT_S = 30
READY_TIMEOUT_S = 300
STUCK_S = 3
POLL_S = 0.1

CUDA_POOL_BYTES = 1 << 30
"""Triton's own pool on each GPU, for tensors between models; its default of 64 MiB holds eight to fourteen requests of
512 texts. When the pool is full Triton falls back to pinned host memory, which the Python backend answers with
uninitialised bytes (core r24.10 `src/memory.cc`, python_backend r24.10 `src/pb_memory.cc` and `src/python_be.cc`)."""


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        repository: the model repository.
        placement: where models run.
        host: address to listen on.
        http_port, grpc_port, metrics_port: 0 stands for one that is free.
        log_file: Triton's log; a temporary file by default.
        trace_file: where Triton writes, when it ends, the times of the requests that it traced; none by default.
        trace_rate: one request in so many is traced.
    """

    repository: Path = field(default_factory=default_repository)
    placement: Placement = Placement.AUTO
    host: str = "127.0.0.1"
    http_port: int = 0
    grpc_port: int = 0
    metrics_port: int = 0
    log_file: Path | None = None
    trace_file: Path | None = None
    trace_rate: int = DEFAULT_RATE


class TritonServer:
    """A running server.

    Attributes:
        runtime: the Triton that was found.
        host, http_port, grpc_port, metrics_port: where it listens.
        log_file: where its log goes.
        control: loads its models again.
        process: the `tritonserver` process; another one after a restart.
        outstanding: see `serving.outstanding`.
    """

    def __init__(self, runtime: Runtime, options: Options, folder: Path) -> None:
        self.runtime = runtime
        self.host = options.host
        self.http_port, self.grpc_port, self.metrics_port = _ports(options)
        self.log_file = options.log_file or folder / "triton.log"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.control = ModelControl(self.host, self.http_port)
        self._shared_memory: set[Path] = set()
        self._tracing = Tracing(options.trace_file, options.trace_rate) if options.trace_file else None
        if self._tracing:
            self._tracing.begin()
        self.outstanding = folder / "outstanding"
        self._restarting = threading.Lock()
        self._environment = server_environment(runtime, options.placement, options.repository) | {
            outstanding.FOLDER: str(self.outstanding)
        }
        self._arguments = self._command(options.repository, lay_out(runtime, folder / "backends"), self._environment)
        self.log_file.write_bytes(b"")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log_file:
            return subprocess.Popen(
                self._arguments,
                env=self._environment,
                cwd=IMPORT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal must reach us only: we stop the server in order.
                preexec_fn=_die_with_parent,
            )

    def _command(self, repository: Path, backends: Path, environment: Mapping[str, str]) -> list[str]:
        return [
            str(self.runtime.executable),
            f"--model-repository={repository}",
            f"--backend-directory={backends}",
            *self.control.arguments(),
            "--disable-auto-complete-config",
            f"--exit-timeout-secs={EXIT_TIMEOUT_S}",
            *_cuda_memory_pools(environment),
            *(f"--{service}-address={self.host}" for service in ("http", "grpc", "metrics")),
            f"--http-port={self.http_port}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-port={self.metrics_port}",
            *(self._tracing.arguments() if self._tracing else []),
        ]

    @property
    def http_url(self) -> str:
        """Address of the HTTP endpoint."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        """Address of the gRPC endpoint."""
        return f"grpc://{self.host}:{self.grpc_port}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{self.host}:{self.metrics_port}/metrics"

    def wait_until_ready(self, on_progress: Callable[[list[str]], None]) -> None:
        """Wait for every model; `on_progress` is called with the models loaded so far.

        Raises:
            ModelLoadError: if the server gives up, with the reasons from its log.
            TimeoutError: if it is not ready after five minutes.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._is_ready():
            lines = self.read_log()
            on_progress(log.loaded_models(lines))
            if self.process.poll() is not None:
                reasons = log.failures(self.read_log()) or self.read_log()[-5:]
                raise ModelLoadError("\n".join(["Triton did not start:", *(f"  {reason}" for reason in reasons)]))
            if time.monotonic() > deadline:
                raise TimeoutError(f"Triton was not ready after {READY_TIMEOUT_S} s; its log is {self.log_file}")
            time.sleep(POLL_S)
        self._shared_memory.update(shared_memory(self.process.pid))

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=1)
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (http.client.HTTPException, OSError):
            return False
        finally:
            connection.close()

    def read_log(self) -> list[str]:
        """The log so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()

    def wait(self) -> None:
        """Wait for the server to end, other than for a restart.

        Raises:
            ServerDiedError: when it does.
        """
        while True:
            process = self.process
            code = process.wait()
            with self._restarting:
                if self.process is process:
                    raise ServerDiedError(f"Triton ended by itself with exit code {code}; its log is {self.log_file}")

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone, other than for a restart."""
        return not self._restarting.locked() and self.process.poll() is not None

    def restart(self, before_start: Callable[[], object] = lambda: None) -> int:
        """Kill the server, whose clients then get an error at once, and start it again on the same ports.

        Args:
            before_start: called when the server has ended.

        Returns:
            The new process.

        Raises:
            ModelLoadError, TimeoutError: see `wait_until_ready`.
        """
        with self._restarting:
            self._shared_memory.update(shared_memory(self.process.pid))
            if self.process.poll() is None:
                self._kill()
            self._clear_up()
            before_start()
            self.process = self._start()
        self.wait_until_ready(lambda _: None)
        return self.process.pid

    def stop(self) -> None:
        """Let requests in flight finish, then end the server; kill it if it takes much longer than that may take.

        What a server that was killed leaves behind goes too: stubs that wait for it for ever, and their shared memory.
        """
        self._shared_memory.update(shared_memory(self.process.pid))
        if self.process.poll() is None:
            self._drain()
            if self._tracing:
                with suppress(ControlError):
                    self.control.end_tracing()
            self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + EXIT_TIMEOUT_S + 15
        while not self._has_ended():
            if time.monotonic() > deadline or self._is_stuck():
                self._kill()
        self._clear_up()
        if self._tracing:
            self._tracing.end()

    def _drain(self) -> None:
        """Wait until models that make inner calls have answered what they had accepted."""
        deadline = time.monotonic() + EXIT_TIMEOUT_S
        outstanding.drain(self.outstanding)
        while outstanding.total(self.outstanding) and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def _has_ended(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(POLL_S)
        return self.process.returncode is not None

    def _kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _clear_up(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for file in self._shared_memory:
            file.unlink(missing_ok=True)
        self._shared_memory.clear()

    def _is_stuck(self) -> bool:
        """Whether all requests are answered and all models unloaded, but those that cannot be.

        The Python backend leaks a part of each request on which a stub died, and the server then waits in vain for the
        model that the stub ran, although another has long taken its place.
        """
        if not self.control.was_used:
            return False
        last = log.still_loaded(self.read_log())[-1 - STUCK_S :]
        return len(last) > STUCK_S and len(set(last)) == 1


@contextmanager
def running(
    options: Options,
    on_progress: Callable[[list[str]], None] = lambda _: None,
    on_reload: Callable[[str], None] = lambda _: None,
) -> Iterator[TritonServer]:
    """Start a server, wait until it is ready, load models again whose process dies, and stop it at the end.

    Args:
        options: how to serve.
        on_progress: called with the models loaded so far, while the server starts.
        on_reload: called from another thread with a line about each model that is loaded again or fails to.

    Raises:
        NotBuiltError: if an artefact is missing from the repository.
        ServingError: see `readability_triton.serving.errors`.
    """
    check_built(options.repository)
    runtime = find_runtime()
    with tempfile.TemporaryDirectory(prefix="readability-") as folder:
        server = TritonServer(runtime, options, Path(folder))
        try:
            server.wait_until_ready(on_progress)
            with Supervisor(server.process.pid, server.control, on_reload, server.restart, server.outstanding):
                yield server
        finally:
            server.stop()


def _ports(options: Options) -> list[int]:
    wanted = [options.http_port, options.grpc_port, options.metrics_port]
    for port in filter(None, wanted):
        check_free(port, options.host)
    fixed = [port for port in wanted if port]
    if len(set(fixed)) < len(fixed):
        raise PortTakenError(f"HTTP, gRPC and metrics need ports of their own, not {wanted}")
    spare = iter(free_ports(wanted.count(0), options.host))
    return [port or next(spare) for port in wanted]


def _die_with_parent() -> None:
    """Have the kernel end the server if this process is killed: nothing may be left behind holding ports."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _cuda_memory_pools(environment: Mapping[str, str]) -> list[str]:
    """A pool for each GPU that the server sees."""
    if environment.get("CUDA_VISIBLE_DEVICES") == "":
        return []
    return [f"--cuda-memory-pool-byte-size={gpu}:{CUDA_POOL_BYTES}" for gpu, _ in enumerate(find_gpus())]
