"""`readability serve`."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from readability_triton.cli.failures import one_line
from readability_triton.cli.options import model_repository_option
from readability_triton.cli.starting import starting
from readability_triton.serving.errors import ServerDiedError, ServingError
from readability_triton.serving.placement import Placement
from readability_triton.serving.server import Options, TritonServer
from readability_triton.serving.tracing import DEFAULT_RATE

LEAST_UPTIME_S = 30.0
"""A server that ends by itself is started again, unless it ended sooner than this."""


class StopRequest(BaseException):
    """SIGINT or SIGTERM arrived."""


@click.command(
    epilog="""\b
Examples:
  readability serve
  readability serve --placement cpu --log-file triton.log
  readability serve --host 0.0.0.0 --http-port 9000 --grpc-port 9001 --metrics-port 9002
  readability serve --trace-file traces.json --trace-rate 100

\b
Exit codes: 0 stopped by SIGINT or SIGTERM; 2 bad usage; 3 no usable Triton; 4 an artefact is not built; 5 a model did
not load; 6 the server died within half a minute; 7 no such placement; 8 a port is taken; 1 anything else."""
)
@click.option(
    "--placement",
    type=click.Choice([each.value for each in Placement]),
    default="auto",
    show_default=True,
    help="Where models run.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--http-port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: one that is free."
)
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=8001, show_default=True)
@click.option("--metrics-port", type=click.IntRange(0, 65535), default=8002, show_default=True)
@model_repository_option
@click.option(
    "--log-file", type=click.Path(dir_okay=False, path_type=Path), help="Triton's log.  [default: a temporary file]"
)
@click.option(
    "--trace-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here, at the end, when each step of some requests began and ended.",
)
@click.option(
    "--trace-rate", type=click.IntRange(1), help="Trace one request in so many; with --trace-file.  [default: 1000]"
)
def serve(
    placement: str,
    host: str,
    http_port: int,
    grpc_port: int,
    metrics_port: int,
    model_repository: Path,
    log_file: Path | None,
    trace_file: Path | None,
    trace_rate: int | None,
) -> None:
    """Serve the model repository in the foreground, until SIGINT (Ctrl-C) or SIGTERM.

    Requests in flight are answered before it ends. Model control is closed to clients: what is served stays as it was
    loaded. A model whose process dies is loaded again.
    """
    if trace_rate and not trace_file:
        raise click.UsageError("--trace-rate needs --trace-file")
    options = Options(
        model_repository.resolve(),
        Placement(placement),
        host,
        http_port,
        grpc_port,
        metrics_port,
        log_file,
        trace_file,
        trace_rate or DEFAULT_RATE,
    )
    stop_on_signals()
    with one_line(ServingError, TimeoutError, OSError):
        try:
            keep_serving(options, _show_addresses)
        except StopRequest:
            click.echo("Stopped.", err=True)


def _show_addresses(server: TritonServer) -> None:
    click.echo(f"http     {server.http_url}\ngrpc     {server.grpc_url}\nmetrics  {server.metrics_url}")
    click.echo("Ready; Ctrl-C stops it.", err=True)


def keep_serving(options: Options, on_ready: Callable[[TritonServer], None]) -> NoReturn:
    """Serve, and start a server that ended by itself again, on the same ports.

    Args:
        options: how to serve.
        on_ready: called whenever a server is ready.

    Raises:
        ServerDiedError: if it ended so soon that it would again.
        ServingError, TimeoutError: see `readability_triton.serving.server.running`.
    """
    while True:
        with starting(options, partial(click.echo, err=True)) as server:
            started = time.monotonic()
            on_ready(server)
            try:
                server.wait()
            except ServerDiedError as error:
                if time.monotonic() - started < LEAST_UPTIME_S:
                    raise
                click.echo(f"{error}; starting it again", err=True)
        ports = {name: getattr(server, name) for name in ("http_port", "grpc_port", "metrics_port")}
        options = replace(options, **ports)


def stop_on_signals() -> None:
    """Have SIGINT and SIGTERM raise `StopRequest`, once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    # Once only: a second Ctrl-C must not cut short the requests that are being answered.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    click.echo("Stopping: answering requests in flight …", err=True)
    raise StopRequest
