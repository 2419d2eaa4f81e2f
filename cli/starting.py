"""Start a server, and show which models it still loads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from readability_triton.cli.display import console
from readability_triton.serving.gpu import find_gpus, missing_requirements
from readability_triton.serving.placement import Placement
from readability_triton.serving.server import Options, TritonServer, running


@contextmanager
def starting(options: Options, on_reload: Callable[[str], None] = lambda _: None) -> Iterator[TritonServer]:
    """`readability_triton.serving.server.running`, with the models that it waits for shown on standard error."""
    expected = {path.parent.name for path in options.repository.glob("*/config.pbtxt")}
    with console.status("starting Triton …") as status:

        def show(loaded: list[str]) -> None:
            waiting = sorted(expected.difference(loaded))
            status.update(f"loaded {len(expected) - len(waiting)} of {len(expected)}, waiting for {', '.join(waiting)}")

        with running(options, show, on_reload) as server:
            status.stop()
            console.print(f"Triton is ready with {len(expected)} models, from {server.runtime.origin}.")
            if (
                options.placement is Placement.AUTO
                and find_gpus()
                and (missing := missing_requirements(options.repository))
            ):
                console.print(f"On the CPU, not the GPU: {'; '.join(missing)}.")
            yield server
