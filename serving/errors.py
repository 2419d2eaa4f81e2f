"""Why a server does not run. `readability_triton.cli.failures` has the exit codes."""


class ServingError(RuntimeError):
    """The server cannot run; the message says why and what to do."""


class TritonNotFoundError(ServingError):
    """No Triton on this machine, or one that this interpreter cannot use."""


class NotBuiltError(ServingError):
    """An artefact is missing from the model repository."""


class ModelLoadError(ServingError):
    """A model did not load."""


class ServerDiedError(ServingError):
    """The server ended by itself."""


class PlacementError(ServingError):
    """This machine cannot run the requested placement."""


class PortTakenError(ServingError):
    """A requested port is in use."""
