"""Why a client gets no score. `readability_triton.cli.failures` has the exit codes."""


class ReadabilityError(Exception):
    """No score; the message says why.

    Attributes:
        request_id: of the request that failed, as in the server's log; empty if there was none.
    """

    request_id: str = ""


class InvalidRequestError(ReadabilityError):
    """The server refuses the request.

    Attributes:
        row: which text is at fault, counted from 0 over all texts of the call, or None if it is the whole request.
        reason: what is wrong.
    """

    def __init__(self, reason: str, row: int | None = None) -> None:
        super().__init__(reason if row is None else f"row {row}: {reason}")
        self.row = row
        self.reason = reason


class ServerUnreachableError(ReadabilityError):
    """Nothing answers at the address."""


class ModelUnavailableError(ReadabilityError):
    """The server is there, but the model is unknown, not ready or broken."""


class RequestTimeoutError(ReadabilityError):
    """No answer within the time allowed."""


class InferenceError(ReadabilityError):
    """The model failed on the request."""


class ServerBusyError(ReadabilityError):
    """A queue in the server is full: try again later, or elsewhere."""


class AccessDeniedError(ReadabilityError):
    """The server, or a gateway before it, wants a token, a header or a client certificate, or another one."""


class ForkedProcessError(ReadabilityError):
    """gRPC was used before this process was forked, and does not work in it."""
