"""Break a running server under load, and account for every answer that its clients get."""

import os

# Before gRPC is loaded: it has a line to say about every server that is started beside an open channel.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
