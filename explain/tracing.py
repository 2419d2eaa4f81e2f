"""Have Triton trace the requests to one model, and read the traces as they are written.

Triton writes them to files on its own machine, which can be read where it is this one. What it traced before is set
again at the end.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from readability_triton.client.errors import ReadabilityError
from readability_triton.explain.server import ServerConnection
from readability_triton.explain.triton_traces import Trace, TraceError, read_traces

Settings = Mapping[str, str | list[str] | None]
SETTINGS = ("trace_level", "trace_rate", "trace_count", "log_frequency")
WRITTEN_WITHIN_S = 3.0
POLL_S = 0.005
MOST_KEPT = 4096
"""Traces of requests that nobody has asked for."""


class TracingUnavailableError(ReadabilityError):
    """The server does not trace for us, or not to a file on this machine; the message says why."""


class Tracing:
    """Traces of one model's requests, until `close`.

    Args:
        server: to ask.
        model: whose requests to trace.
        traces_a_file: how many traces Triton writes at a time.
        removes: whether to remove the files that were read: where the server is our own.

    Raises:
        TracingUnavailableError: if the server does not.
    """

    def __init__(self, server: ServerConnection, model: str, traces_a_file: int, removes: bool) -> None:
        self._server, self._model, self._removes = server, model, removes
        self._lock = threading.Lock()
        self._traces: dict[str, Trace] = {}
        self._spoilt: dict[Path, float] = {}
        by_default = _asked(server, "")
        self._before = _asked(server, model)
        self._is_default = all(by_default.get(name) == self._before.get(name) for name in SETTINGS)
        self.file = _file(by_default)
        self._seen = set(self._files())
        self._wanted: Settings = {
            "trace_level": ["TIMESTAMPS"],
            "trace_rate": "1",
            "trace_count": "-1",
            "log_frequency": str(traces_a_file),
        }
        self._set(self._wanted)

    def flush(self) -> None:
        """Have Triton write the traces that it has: it does whenever the settings are set, even to what they were."""
        self._set(self._wanted)

    def close(self) -> None:
        """Set again what was traced before; Triton then writes what it still has."""
        if self._is_default:
            self._set(dict.fromkeys(SETTINGS))
        else:
            self._set(
                {
                    name: value if name == "trace_level" else value[0]
                    for name in SETTINGS
                    if (value := self._before.get(name))
                }
            )

    def take(self, request_id: str) -> Trace | None:
        """The trace of a request, once; None if it is not written yet.

        Raises:
            TraceError: if a file that Triton wrote stays cut off or is none.
            OSError: if one cannot be read.
        """
        with self._lock:
            if request_id not in self._traces:
                self._read_new()
            return self._traces.pop(request_id, None)

    def wait_for(self, request_id: str) -> Trace:
        """The trace of a request that was answered.

        Raises:
            TraceError: if none is there after three seconds, or as `take` does.
            OSError: if a file cannot be read.
        """
        deadline = time.monotonic() + WRITTEN_WITHIN_S
        while (trace := self.take(request_id)) is None:
            if time.monotonic() > deadline:
                raise TraceError(f"no trace of the request in {self.file}.* within {WRITTEN_WITHIN_S:g} s")
            time.sleep(POLL_S)
        return trace

    def _read_new(self) -> None:
        for path in sorted(set(self._files()) - self._seen):
            try:
                traces = read_traces(path.read_text(encoding="utf-8"), str(path))
            except (TraceError, UnicodeDecodeError):  # Triton may be writing it
                if time.monotonic() - self._spoilt.setdefault(path, time.monotonic()) > WRITTEN_WITHIN_S:
                    self._seen.add(path)
                    raise
                continue
            self._seen.add(path)
            self._traces |= {trace.request_id: trace for trace in traces if trace.is_complete}
            if self._removes:
                path.unlink(missing_ok=True)
                self._seen.discard(path)
        while len(self._traces) > MOST_KEPT:
            self._traces.pop(next(iter(self._traces)))

    def _files(self) -> list[Path]:
        return [path for path in self.file.parent.glob(f"{self.file.name}.*") if path.suffix[1:].isdigit()]

    def _set(self, settings: Settings) -> None:
        try:
            self._server.set_trace(self._model, settings)
        except ReadabilityError as error:
            raise TracingUnavailableError(f"the server refuses to trace {self._model}: {error}") from error


def _asked(server: ServerConnection, model: str) -> dict[str, list[str]]:
    try:
        return server.trace_settings(model)
    except ReadabilityError as error:
        raise TracingUnavailableError(f"the server does not say what it traces: {error}") from error


def _file(settings: Mapping[str, list[str]]) -> Path:
    """Where Triton writes traces, if that is a place on this machine."""
    mode, name = "".join(settings.get("trace_mode", ["triton"])), "".join(settings.get("trace_file", []))
    if mode != "triton":
        raise TracingUnavailableError(f"the server sends its traces away, in mode {mode}")
    if not name:
        raise TracingUnavailableError("the server was started without a trace file: --trace-config triton,file=…")
    file = Path(name)
    if not file.is_absolute() or not file.parent.is_dir():
        raise TracingUnavailableError(f"the server's trace file {name} is not in a folder of this machine")
    return file
