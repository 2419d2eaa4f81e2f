"""Start a server and show what it waits for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from client.display import console
from serving.gpu import find_gpus, lacking
from serving.placement import Placement
from serving.server import Options, TritonServer, running


@contextmanager
def starting(options: Options, tell: Callable[[str], None] = lambda _: None) -> Iterator[TritonServer]:
    """`serving.server.running` with the models still to come shown on standard error; `tell` is for later."""
    expected = {path.parent.name for path in options.repository.glob("*/config.pbtxt")}
    with console.status("starting Triton …") as status:

        def show(loaded: list[str]) -> None:
            waiting = sorted(expected.difference(loaded))
            status.update(f"loaded {len(expected) - len(waiting)} of {len(expected)}, waiting for {', '.join(waiting)}")

        with running(options, show, tell) as server:
            status.stop()
            console.print(f"Triton is ready with {len(expected)} models, from {server.runtime.origin}.")
            if options.placement is Placement.AUTO and find_gpus() and (missing := lacking(options.repository)):
                console.print(f"On the CPU, not the GPU: {'; '.join(missing)}.")
            yield server
