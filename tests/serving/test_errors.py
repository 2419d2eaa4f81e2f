import pytest

from readability_triton.serving import errors
from readability_triton.serving.errors import ServingError

EXIT_CODES = {
    "ServingError": 1,
    "TritonNotFoundError": 3,
    "NotBuiltError": 4,
    "ModelLoadError": 5,
    "ServerDiedError": 6,
    "PlacementError": 7,
    "PortTakenError": 8,
}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_every_error_has_the_exit_code_that_readability_serve_promises(name, code):
    error = getattr(errors, name)
    assert issubclass(error, ServingError)
    assert error.exit_code == code


def test_no_error_is_without_a_promised_exit_code():
    defined = {name for name, each in vars(errors).items() if isinstance(each, type)}
    assert defined == set(EXIT_CODES)
