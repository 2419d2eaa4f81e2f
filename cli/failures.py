"""Turn errors into one line on standard error and an exit code."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click

from readability_triton.client import errors as client
from readability_triton.serving import errors as serving

EXIT_CODES: Mapping[type[Exception], int] = {
    client.ReadabilityError: 1,
    client.InvalidRequestError: 2,
    client.ServerUnreachableError: 3,
    client.ModelUnavailableError: 4,
    client.RequestTimeoutError: 5,
    client.InferenceError: 6,
    client.ServerBusyError: 7,
    client.AccessDeniedError: 8,
    client.ForkedProcessError: 1,
    serving.ServingError: 1,
    serving.TritonNotFoundError: 3,
    serving.NotBuiltError: 4,
    serving.ModelLoadError: 5,
    serving.ServerDiedError: 6,
    serving.PlacementError: 7,
    serving.PortTakenError: 8,
}
INTERRUPTED = 130
"""After Ctrl-C, as shells have it: 128 and the number of SIGINT."""


@contextmanager
def one_line(*errors: type[Exception]) -> Iterator[None]:
    """Within the block, `errors` end the command with their message and their exit code, 1 for those not listed."""
    try:
        yield
    except errors as error:
        click.echo(f"readability: {error}", err=True)
        raise SystemExit(exit_code(error)) from error


def exit_code(error: Exception) -> int:
    """The exit code for an error; 1 for one that is not listed."""
    return next((EXIT_CODES[each] for each in type(error).__mro__ if each in EXIT_CODES), 1)
