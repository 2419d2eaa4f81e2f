"""Where faults happen: the server that they share, the load on it, and how long to look."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from readability_triton.faults.copies import rename_copy, set_parameter, set_traps
from readability_triton.faults.load import POLL_S, Load, Target
from readability_triton.faults.result import Result
from readability_triton.faults.traffic import BLS, EVERYTHING, OWN_BLS, Flow
from readability_triton.faults.truth import Truth
from readability_triton.serving.repository import copy_repository
from readability_triton.serving.server import Options, TritonServer, running

TRAPPED = ("preprocess", "bert-large", "cuml", BLS)
ORDER_LIMIT_S = 40.0


class NotInOrderError(RuntimeError):
    """A server does not answer right before anything was done to it."""


@dataclass
class Setting:
    """What faults are given.

    Attributes:
        repository: the model repository.
        truth: what it should answer.
        folder: for copies of the repository, and files of a fault's own.
        seconds: how long to look at least after a fault.
        seed: of whatever is random.
        cases: how many hostile requests.
        supervisor_lines: what the server's supervisor reported since the fault began.
    """

    repository: Path
    truth: Truth
    folder: Path
    seconds: float = 2.0
    seed: int = 0
    cases: int = 2000
    supervisor_lines: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _shared: tuple[Path, TritonServer] | None = None

    def server(self, repository: Path | None = None) -> TritonServer:
        """The server that faults share, over this repository; there is one at a time."""
        repository = repository or self.repository
        if self._shared is None or self._shared[0] != repository or self._shared[1].has_ended:
            self.discard()
            self._shared = (
                repository,
                self._stack.enter_context(running(Options(repository), on_reload=self.supervisor_lines.append)),
            )
        return self._shared[1]

    def discard(self) -> None:
        """Stop the shared server: it is no longer as it was, or another one needs the cores."""
        self._shared = None
        self._stack.close()

    def trapped(self) -> Path:
        """A copy of the repository whose stages can hang and fail, with a pipeline for requests with deadlines only."""
        copy = self.folder / "trapped"
        if not copy.exists():
            copy_repository(self.repository, copy)
            set_traps(copy, TRAPPED)
            rename_copy(copy, BLS, OWN_BLS)
        return copy

    def small_queue(self) -> Path:
        """A copy of the repository whose BLS pipeline admits 500 rows."""
        copy = self.folder / "small-queue"
        if not copy.exists():
            copy_repository(self.repository, copy)
            set_parameter(copy, BLS, "max_queued_rows", "500")
        return copy

    @contextmanager
    def load(self, server: TritonServer, flows: Sequence[Flow] = EVERYTHING) -> Iterator[Load]:
        """Steady load on a server that was seen to answer right.

        Raises:
            NotInOrderError: if it does not.
        """
        with self.load_unchecked(server, flows) as load:
            start = time.monotonic()
            while load.seconds_to_recover(start) is None:
                time.sleep(POLL_S)
                if time.monotonic() > start + ORDER_LIMIT_S:
                    raise NotInOrderError("the server does not answer right before the fault")
            yield load

    def load_unchecked(self, server: TritonServer, flows: Sequence[Flow]) -> Load:
        """Steady load on a server that may not be able to answer."""
        return Load(target(server, self.truth), flows, self.seed)


def target(server: TritonServer, truth: Truth) -> Target:
    """A server, as the load sees it."""
    return Target({"grpc": server.grpc_url, "http": server.http_url}, truth)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: for `--only`.
        about: what happens, in a line.
        run: makes it happen, and accounts for the requests around it.
    """

    name: str
    about: str
    run: Callable[[Setting], Result]
