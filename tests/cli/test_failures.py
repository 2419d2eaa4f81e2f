import pytest

from readability_triton.cli.failures import EXIT_CODES, one_line
from readability_triton.client import errors as client
from readability_triton.serving import errors as serving

PROMISED = {
    "ReadabilityError": 1,
    "InvalidRequestError": 2,
    "ServerUnreachableError": 3,
    "ModelUnavailableError": 4,
    "RequestTimeoutError": 5,
    "InferenceError": 6,
    "ServerBusyError": 7,
    "AccessDeniedError": 8,
    "ForkedProcessError": 1,
    "ServingError": 1,
    "TritonNotFoundError": 3,
    "NotBuiltError": 4,
    "ModelLoadError": 5,
    "ServerDiedError": 6,
    "PlacementError": 7,
    "PortTakenError": 8,
}


def test_the_exit_codes_are_those_that_the_help_promises():
    assert {error.__name__: code for error, code in EXIT_CODES.items()} == PROMISED


@pytest.mark.parametrize("module", [client, serving], ids=["client", "serving"])
def test_every_error_has_an_exit_code(module):
    for error in (each for each in vars(module).values() if isinstance(each, type)):
        assert any(each in EXIT_CODES for each in error.__mro__)


@pytest.mark.parametrize(("error", "code"), [*EXIT_CODES.items(), (OSError, 1)])
def test_an_error_ends_a_command_in_one_line(error, code, capsys):
    with pytest.raises(SystemExit) as ended, one_line(Exception):
        raise error("why")
    assert ended.value.code == code
    assert capsys.readouterr() == ("", "readability: why\n")


def test_other_errors_pass():
    with pytest.raises(KeyError), one_line(OSError):
        raise KeyError
