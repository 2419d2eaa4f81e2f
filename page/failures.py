"""What a browser gets for an error: a status, and JSON with what happened."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse

from readability_triton.client.errors import (
    AccessDeniedError,
    InferenceError,
    InvalidRequestError,
    ModelUnavailableError,
    ReadabilityError,
    RequestTimeoutError,
    ServerBusyError,
    ServerUnreachableError,
)

STATUS: Mapping[type[ReadabilityError], int] = {
    ReadabilityError: 500,
    InvalidRequestError: 400,
    AccessDeniedError: 502,
    InferenceError: 502,
    ModelUnavailableError: 503,
    ServerBusyError: 503,
    ServerUnreachableError: 503,
    RequestTimeoutError: 504,
}


class BodyTooLargeError(InvalidRequestError):
    """A request has more bytes than the page takes."""


STATUS_OF_LARGE = 413


def as_json(error: ReadabilityError) -> dict[str, str]:
    """`kind`, the name of the error's class; `message`; and `request_id`, empty if no request was sent."""
    return {"kind": type(error).__name__, "message": str(error), "request_id": error.request_id}


def answer_error(_request: Request, error: Exception) -> JSONResponse:
    """The response to a `ReadabilityError`."""
    assert isinstance(error, ReadabilityError)
    if isinstance(error, BodyTooLargeError):
        status = STATUS_OF_LARGE
    else:
        status = next(STATUS[each] for each in type(error).__mro__ if each in STATUS)
    return JSONResponse({"error": as_json(error)}, status)
