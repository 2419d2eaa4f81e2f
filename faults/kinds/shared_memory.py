"""Shared memory that runs out: Triton exchanges tensors with its stubs in /dev/shm.

Where the kernel lets us, the server gets its own small /dev/shm, so that nothing else on the machine is affected.
Otherwise the machine's own is filled for a moment, unless it is too large for that.
"""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from readability_triton.faults.command import Served, serving
from readability_triton.faults.load import Load, Target
from readability_triton.faults.result import Result, account
from readability_triton.faults.setting import Fault, Setting
from readability_triton.faults.traffic import PARALLEL, draw
from readability_triton.faults.watch import RECOVERY_LIMIT_S, wait_for

NAME = "shared-memory-full"
SHM = Path("/dev/shm")  # noqa: S108  # nothing of ours is kept there
OWN_MIB = 96
LEFT_MIB = 2
LARGEST_FILLED_MIB = 8 * 1024
FULL_S = 4.0
N_LARGE = 12
LARGE_ROWS = 256
"""Ids and mask take 2 MiB."""


def _fill_up(setting: Setting) -> Result:
    wrapper = _own_shared_memory()
    total_mib = shutil.disk_usage(SHM).total >> 20
    if wrapper is None and (total_mib > LARGEST_FILLED_MIB or not os.access(SHM, os.W_OK)):
        why = f"{SHM} has {total_mib} MiB, too many to fill, and a server may not have its own here"
        return Result(NAME, skipped=why)
    setting.discard()
    with serving(setting.repository, wrapper or ()) as served:
        if not served.urls:
            return account(NAME, [], broken=[f"the server did not start: {served.said()}"])
        return _under_load(setting, served)


def _under_load(setting: Setting, served: Served) -> Result:
    rng = random.Random(setting.seed)
    with Load(Target(served.urls, setting.truth), seed=setting.seed) as load:
        time.sleep(1)
        at = time.monotonic()
        with _filled(Path(f"/proc/{served.process.pid}/root") / SHM.relative_to("/")):
            n_texts = len(setting.truth.texts)
            calls = load.burst(draw(rng, PARALLEL[i % len(PARALLEL)], n_texts, LARGE_ROWS) for i in range(N_LARGE))
            time.sleep(FULL_S)
        for call in calls:
            call.result()
        wait_for(lambda: load.seconds_to_recover(at) is not None or served.process.poll() is not None, RECOVERY_LIMIT_S)
        recovery_s = load.seconds_to_recover(at)
    broken = [] if recovery_s is not None else ["not in order after the memory was given back"]
    if served.process.poll() is not None:
        broken = [f"`readability serve` ended: exit code {served.process.returncode}"]
    return account(
        NAME,
        load.samples,
        recovery_s,
        broken,
        [line for line in served.said().splitlines() if "reload" in line or "ended" in line],
    )


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """Leave but a few MiB, and give the rest back whatever happens."""
    file = folder / "readability-faults-filler"
    try:
        with file.open("wb") as filler:
            size = max(0, shutil.disk_usage(folder).free - (LEFT_MIB << 20))
            os.posix_fallocate(filler.fileno(), 0, size)
        yield
    finally:
        file.unlink(missing_ok=True)


def _own_shared_memory() -> Sequence[str] | None:
    """What runs a command with a small /dev/shm that only it and its children see; None if we may not."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    mount = f'mount -t tmpfs -o size={OWN_MIB}m tmpfs {SHM} && exec "$@"'
    wrapper = [unshare, *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--mount"]
    wrapper += ["/bin/sh", "-c", mount, "sh"]
    allowed = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    return wrapper if allowed else None


FAULTS = (Fault(NAME, f"{SHM} but for {LEFT_MIB} MiB is taken, and large batches come", _fill_up),)
