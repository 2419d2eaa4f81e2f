"""What can go wrong for a client, each with the exit code that the command line gives it."""


class ReadabilityError(Exception):
    """No score; the message says why."""

    exit_code = 1


class InvalidRequestError(ReadabilityError):
    """The server refuses the request.

    Attributes:
        row: which text is at fault, counted from 0 over all texts of the call, or None if it is the whole request.
        reason: what is wrong.
    """

    exit_code = 2

    def __init__(self, reason: str, row: int | None = None) -> None:
        super().__init__(reason if row is None else f"row {row}: {reason}")
        self.row = row
        self.reason = reason


class ServerUnreachableError(ReadabilityError):
    """Nothing answers at the address."""

    exit_code = 3


class ModelUnavailableError(ReadabilityError):
    """The server is there, but the model is unknown, not ready or broken."""

    exit_code = 4


class RequestTimeoutError(ReadabilityError):
    """No answer within the time allowed."""

    exit_code = 5


class InferenceError(ReadabilityError):
    """The model failed on the request."""

    exit_code = 6


class ServerBusyError(ReadabilityError):
    """A queue in the server is full: try again later, or elsewhere."""

    exit_code = 7
