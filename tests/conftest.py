"""Settings for all tests."""

import os

from hypothesis import settings

from serving.environment import STAGE_DEFAULTS

# Threads that spin while they wait take the cores from the server under test: see docs/serve.md. This must stand before
# any test loads PyTorch.
os.environ.setdefault("GOMP_SPINCOUNT", STAGE_DEFAULTS["GOMP_SPINCOUNT"])

# Small machines are slow at times, and CI must say the same of the same commit twice.
settings.register_profile("unhurried", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("unhurried")
