"""Settings that must stand before any test loads PyTorch."""

import os

# Threads that spin while they wait take the cores from the server under test: see docs/serve.md.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
