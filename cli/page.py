"""`readability page`."""

import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from socket import socket
from typing import Any, NoReturn

import click

from readability_triton.cli.failures import one_line
from readability_triton.cli.options import AskedAccess, access_options, model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.serve import StopRequest, keep_serving, stop_on_signals
from readability_triton.client.access import Access
from readability_triton.page.app import make_app
from readability_triton.page.pipelines import TritonPipelines
from readability_triton.page.protection import LOOPBACK
from readability_triton.page.server import as_in_urls, listen, serving
from readability_triton.serving.control import GRPC_KEY_NAME
from readability_triton.serving.errors import ServingError
from readability_triton.serving.ports import free_ports
from readability_triton.serving.server import Options, TritonServer

SELDOM = 1_000_000_000
"""The server that is started here traces of itself one request in so many: the page has its own requests traced."""


@click.command(
    epilog="""\b
Examples:
  readability page                             # starts a server; open the address that it prints
  readability page --open --port 9000
  readability page --url grpc://gpu-box:8001   # of a server that runs already
  readability page --host 192.168.1.5          # for a phone in the same network

\b
The waterfall of ensemble_all is of Triton's traces: a server at --url has them if it was started with
--trace-config triton,file=/dir/trace on this machine and its trace API is open to --header. Else it is of Triton's
statistics.

\b
Exit codes: 0 stopped by SIGINT or SIGTERM; 2 bad usage; 3 no usable Triton; 4 an artefact is not built; 5 a model did
not load; 6 the server died within half a minute; 1 anything else, such as a port that is taken."""
)
@click.option("--url", help="gRPC address of a running server.  [default: one is started, and stopped at the end]")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: one that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen on.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds.")
@access_options
@model_repository_option
def page(**options: Any) -> None:
    """Show in a browser how both pipelines score a text, and where the time goes.

    Paste a text or drop a file: score, interval and percentile by ensemble_all and by bls_pipeline, the text coloured
    by how hard each passage and sentence is, and both requests as waterfalls.

    The page needs no network. It listens on this machine only, unless --host names another of its addresses; then
    anyone on that network can send texts.
    """
    asked = Asked(**options)
    stop_on_signals()
    with one_line(ServingError, TimeoutError, OSError, ValueError), suppress(StopRequest):
        if asked.url is None:
            _show_own_server(asked)
        else:
            with _page_of(asked, TritonPipelines(asked.url, asked.timeout, asked.access())):
                threading.Event().wait()


@dataclass(frozen=True, kw_only=True)
class Asked(AskedAccess):
    """The command's options."""

    url: str | None
    port: int
    host: str
    open_browser: bool
    timeout: float
    model_repository: Path


def _show_own_server(asked: Asked) -> NoReturn:
    """The page comes first: it says that the server is not ready yet."""
    with tempfile.TemporaryDirectory(prefix="readability-traces-") as folder:
        options = Options(
            asked.model_repository.resolve(),
            grpc_port=free_ports(1)[0],
            trace_file=Path(folder) / "traces.json",
            trace_rate=SELDOM,
        )
        pipelines = TritonPipelines(f"grpc://{options.host}:{options.grpc_port}", asked.timeout, removes_traces=True)

        def note_ready(server: TritonServer) -> None:
            pipelines.trace_access = Access(headers={GRPC_KEY_NAME: server.control.key})
            click.echo("The page is ready.", err=True)

        with _page_of(asked, pipelines):
            keep_serving(options, note_ready)


@contextmanager
def _page_of(asked: Asked, pipelines: TritonPipelines) -> Iterator[None]:
    """Serve the page within the block."""
    with closing(listen(asked.host, asked.port)) as listening:
        app = make_app(pipelines, sample_passages(), {*LOOPBACK, *_hosts(asked.host, listening)})
        with serving(app, listening) as address:
            click.echo(address)
            click.echo(f"The page asks {pipelines.url}; Ctrl-C stops it.", err=True)
            if asked.open_browser and not webbrowser.open(address):
                click.echo("No browser was found to open it in.", err=True)
            yield


def _hosts(host: str, listening: socket) -> tuple[str, str]:
    """`--host` and the address that it stands for, as browsers name them.

    Raises:
        click.BadParameter: if that is every address at once.
    """
    bound = listening.getsockname()[0]
    address = ip_address(bound)
    if (getattr(address, "ipv4_mapped", None) or address).is_unspecified:
        reason = "name the address that browsers use: requests by another name are refused"
        raise click.BadParameter(reason, param_hint="--host")
    return as_in_urls(host), as_in_urls(bound)
