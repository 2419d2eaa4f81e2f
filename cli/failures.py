"""Turn the project's errors into one line on standard error and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def one_line(*errors: type[Exception]) -> Iterator[None]:
    """Within the block, `errors` end the command with their message and their `exit_code`, 1 if they have none."""
    try:
        yield
    except errors as error:
        click.echo(f"readability: {error}", err=True)
        raise SystemExit(getattr(error, "exit_code", 1)) from error
