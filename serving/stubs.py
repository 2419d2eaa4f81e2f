"""The stubs of a running server: the processes in which Triton's Python backend runs models, one an instance."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

EXECUTABLE = "triton_python_backend_stub"
PROC = Path("/proc")
MODEL_FILE, INSTANCE = 1, 8
"""Where the backend puts them among the arguments that it starts a stub with; the model file is
`<repository>/<model>/<version>/<file>`."""

_REGION = re.compile(r"/\S+/triton_\S+_shm_region_[-0-9a-f]{36}$", re.MULTILINE)


@dataclass(frozen=True)
class Stub:
    """A stub when it was looked at.

    Attributes:
        pid: its process.
        model: the model that it runs.
        instance: which instance of the model, as Triton names it.
        state: the kernel's letter for what the process is doing, None once it is gone.
    """

    pid: int
    model: str
    instance: str
    state: str | None

    @property
    def is_alive(self) -> bool:
        """Whether the process still exists, running or not."""
        return is_alive(self.state)

    @property
    def is_stopped(self) -> bool:
        """Whether the process is stopped by a signal or by a tracer."""
        return self.state in ("T", "t")

    def again(self) -> "Stub":
        """The same stub, looked at now."""
        return replace(self, state=process_state(self.pid))


def find_stubs(server: int) -> list[Stub]:
    """The stubs that are alive among the children of process `server`; takes some 10 µs for every process there is.

    A stub that died stays a child until its model is loaded again, but a zombie no longer shows its command.
    """
    found = []
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (status := _status(folder)) and status[1] == server:
            stub = _stub(folder, status[0])
            found += [stub] if stub else []
    return found


def shared_memory(server: int) -> list[Path]:
    """The files in which a server exchanges tensors with its stubs, those that died among them."""
    try:
        mapped = (PROC / str(server) / "maps").read_text(errors="replace")
    except OSError:
        return []
    return sorted({Path(match) for match in _REGION.findall(mapped)})


def process_state(pid: int) -> str | None:
    """The kernel's letter for what a process is doing: R running, S asleep, T stopped, Z dead, …; None if gone."""
    status = _status(PROC / str(pid))
    return status[0] if status else None


def is_alive(state: str | None) -> bool:
    """Whether a process in this state exists and is more than its exit code."""
    return state not in (None, "Z", "X")


def _status(folder: Path) -> tuple[str, int] | None:
    """State and parent."""
    try:
        text = (folder / "stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent, *_ = text.rpartition(")")[2].split()  # The name before it is in parentheses and may hold some.
    return state, int(parent)


def _stub(folder: Path, state: str) -> Stub | None:
    try:
        arguments = (folder / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return None
    if Path(arguments[0]).name != EXECUTABLE or len(arguments) <= INSTANCE:
        return None  # The server also runs the stub without arguments, to see whether it may.
    model = Path(arguments[MODEL_FILE]).parents[1].name
    return Stub(int(folder.name), model, arguments[INSTANCE], state)
