"""What ends a measurement early: the user, a server that is lost, or the process that sends requests."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tritonclient.utils import InferenceServerException

from readability_triton.client.protocol import translate
from readability_triton.compare.client_process import ClientProcessError

STOPPED_BY_USER = "stopped by the user"


class ServerLostError(RuntimeError):
    """The server no longer answers."""


class Measurement(Protocol):
    """What was measured so far.

    Attributes:
        incomplete: why it ended early; None if it did not.
    """

    incomplete: str | None


class Checks(Protocol):
    """Sends a target's first request: `readability_triton.compare.client_process.ClientProcess`."""

    def check(self, target: int) -> Awaitable[None]:
        """Send it."""


async def check_arms(sender: Checks, n_arms: int) -> None:
    """Send the first request of each arm.

    Raises:
        ReadabilityError: if an arm does not answer it.
    """
    for arm in range(n_arms):
        try:
            await sender.check(arm)
        except (InferenceServerException, OSError) as error:
            raise translate(error) from error


@contextmanager
def kept_if_stopped(outcome: Measurement) -> Iterator[None]:
    """Where the block is cancelled, or loses the server or the client process, the outcome so far says so and stays."""
    try:
        yield
    except asyncio.CancelledError:
        outcome.incomplete = STOPPED_BY_USER
        if task := asyncio.current_task():
            task.uncancel()
    except (ServerLostError, ClientProcessError) as error:
        outcome.incomplete = str(error)
