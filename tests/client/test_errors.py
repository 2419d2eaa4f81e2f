import pytest

from readability_triton.client import errors
from readability_triton.client.errors import InvalidRequestError, ReadabilityError

EXIT_CODES = {
    "ReadabilityError": 1,
    "InvalidRequestError": 2,
    "ServerUnreachableError": 3,
    "ModelUnavailableError": 4,
    "RequestTimeoutError": 5,
    "InferenceError": 6,
    "ServerBusyError": 7,
}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_every_error_has_the_exit_code_that_readability_score_promises(name, code):
    error = getattr(errors, name)
    assert issubclass(error, ReadabilityError)
    assert error.exit_code == code


def test_no_error_is_without_a_promised_exit_code():
    assert {name for name, each in vars(errors).items() if isinstance(each, type)} == set(EXIT_CODES)


def test_a_refused_row_is_named_in_the_message():
    error = InvalidRequestError("text is empty", 7)
    assert (error.row, error.reason, str(error)) == (7, "text is empty", "row 7: text is empty")


def test_row_0_is_a_row():
    assert str(InvalidRequestError("text is empty", 0)) == "row 0: text is empty"
