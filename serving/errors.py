"""What can keep a server from running, each with the exit code that the command line gives it."""


class ServingError(RuntimeError):
    """The server cannot run; the message says why and what to do."""

    exit_code = 1


class TritonNotFoundError(ServingError):
    """No Triton on this machine, or one that this interpreter cannot use."""

    exit_code = 3


class NotBuiltError(ServingError):
    """The model repository lacks an artefact."""

    exit_code = 4


class ModelLoadError(ServingError):
    """A model did not load."""

    exit_code = 5


class ServerDiedError(ServingError):
    """The server ended without being asked to."""

    exit_code = 6


class PlacementError(ServingError):
    """The placement asked for is not to be had on this machine."""

    exit_code = 7


class PortTakenError(ServingError):
    """A port asked for is in use."""

    exit_code = 8
