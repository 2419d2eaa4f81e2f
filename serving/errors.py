"""Why a server does not run. `readability_triton.cli.failures` has the exit codes."""


class ServingError(RuntimeError):
    """The server cannot run; the message says why and what to do."""


class TritonNotFoundError(ServingError):
    """No Triton on this machine, or one that this interpreter cannot use."""


class NotBuiltError(ServingError):
    """The model repository lacks an artefact."""


class ModelLoadError(ServingError):
    """A model did not load."""


class ServerDiedError(ServingError):
    """The server ended without being asked to."""


class PlacementError(ServingError):
    """The placement asked for is not to be had on this machine."""


class PortTakenError(ServingError):
    """A port asked for is in use."""
