"""Before a server is stopped: let models that make inner calls answer what they have, and take no more.

    READABILITY_OUTSTANDING=/tmp/outstanding python3 -m readability_triton.serving.drain

for containers, whose preStop it is; `readability serve` does the same when it stops. From SIGTERM on Triton refuses
inner calls, so requests that have some left would fail. It needs nothing but Python.
"""

import os
import sys
import time
from pathlib import Path

from readability_triton.serving import outstanding

LONGEST_S = 30.0
"""How long an answer may take: `max_wait_ms` of `bls_pipeline`."""

POLL_S = 0.1


def drain(folder: Path, longest_s: float = LONGEST_S) -> int:
    """Have new requests refused and wait for those that were accepted.

    Args:
        folder: where the models' processes count them; see `outstanding.FOLDER`.
        longest_s: for how long at most.

    Returns:
        How many are left.
    """
    deadline = time.monotonic() + longest_s
    outstanding.drain(folder)
    while (left := outstanding.total(folder)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return left


def main() -> None:
    """Drain the server whose folder the environment names; exit code 1 if requests are left."""
    folder = os.environ.get(outstanding.FOLDER)
    if not folder:
        raise SystemExit(f"{outstanding.FOLDER} is not set, here or for the server: nobody counts its requests")
    if left := drain(Path(folder)):
        print(f"{left} requests are not answered after {LONGEST_S:.0f} s", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    main()
