"""`readability page`."""

import threading
import webbrowser
from contextlib import closing, suppress
from pathlib import Path

import click

from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.samples import sample_passages
from readability_triton.cli.serve import StopRequest, keep_serving, stop_on_signals
from readability_triton.page.app import make_app
from readability_triton.page.pipelines import TritonPipelines
from readability_triton.page.protection import LOOPBACK
from readability_triton.page.server import listen, serving
from readability_triton.serving.errors import ServingError
from readability_triton.serving.ports import free_ports
from readability_triton.serving.server import Options, TritonServer

ANY = ("0.0.0.0", "::", "")  # noqa: S104 - refused


@click.command(
    epilog="""\b
Examples:
  readability page                             # starts a server; open the address that it prints
  readability page --open --port 9000
  readability page --url grpc://gpu-box:8001   # of a server that runs already
  readability page --host 192.168.1.5          # for a phone in the same network

\b
Exit codes: 0 stopped by SIGINT or SIGTERM; 2 bad usage; 3 no usable Triton; 4 an artefact is not built; 5 a model did
not load; 6 the server died within half a minute; 1 anything else, such as a port that is taken."""
)
@click.option("--url", help="gRPC address of a running server.  [default: one is started, and stopped at the end]")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: one that is free.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen on.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds.")
@model_repository_option
def page(url: str | None, port: int, host: str, open_browser: bool, timeout: float, model_repository: Path) -> None:
    """Show in a browser how both pipelines score a text, and where the time goes.

    Paste a text or drop a file: score, interval and percentile by ensemble_all and by bls_pipeline, the text coloured
    by how hard each passage and sentence is, and both requests as waterfalls.

    The page needs no network. It listens on this machine only, unless --host names another of its addresses; then
    whoever reaches that may send texts.
    """
    if host in ANY:
        reason = "name the address that browsers use: requests by another name are refused"
        raise click.BadParameter(reason, param_hint="--host")
    options = Options(model_repository.resolve(), grpc_port=free_ports(1)[0])
    server_url = url or f"grpc://{options.host}:{options.grpc_port}"
    stop_on_signals()
    with one_line(ServingError, TimeoutError, OSError, ValueError), suppress(StopRequest):
        app = make_app(TritonPipelines(server_url, timeout), sample_passages(), {*LOOPBACK, _as_in_urls(host)})
        with closing(listen(host, port)) as listening, serving(app, listening) as address:
            click.echo(address)
            click.echo(f"The page asks {server_url}; Ctrl-C stops it.", err=True)
            if open_browser and not webbrowser.open(address):
                click.echo("No browser was found to open it in.", err=True)
            if url:
                threading.Event().wait()
            else:
                keep_serving(options, _note_ready)


def _as_in_urls(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _note_ready(_server: TritonServer) -> None:
    click.echo("The page is ready.", err=True)
