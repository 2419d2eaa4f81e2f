"""Look at a server under load until it is in order, and at what its clients got."""

import time
from collections.abc import Callable, Sequence

from readability_triton.faults.load import POLL_S, Load, Sample
from readability_triton.faults.result import Result, account
from readability_triton.faults.setting import Setting
from readability_triton.faults.traffic import DEADLINE_MS, Flow
from readability_triton.faults.verdict import Kind
from readability_triton.serving.server import TritonServer

DEADLINE_SLACK_S = 0.25
"""For the way to the server and back."""

RECOVERY_LIMIT_S = 40.0


def after(setting: Setting, fault: str, load: Load, server: TritonServer, at: float) -> Result:
    """Wait until every flow is in order, and account for the requests since the load began.

    Args:
        setting: says how long to look at least.
        fault: its name.
        load: the load, still running.
        server: under that load.
        at: when the fault happened, by the monotonic clock.
    """
    time.sleep(max(0.0, at + setting.seconds - time.monotonic()))
    wait_for(lambda: load.seconds_to_recover(at) is not None or server.has_ended, RECOVERY_LIMIT_S)
    recovery_s, broken = load.seconds_to_recover(at), list[str]()
    if server.has_ended:
        broken = [f"the server died: exit code {server.process.returncode}"]
    elif recovery_s is None:
        broken = [f"not in order {time.monotonic() - at:.0f} s after the fault"]
    return account(fault, load.samples, recovery_s, broken, list(setting.supervisor_lines))


def wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    """Whether the condition came true in so many seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def errors_of(samples: Sequence[Sample], flow: Flow) -> list[str]:
    """A line, if requests of a flow got errors that they were promised not to."""
    errors = [
        sample.verdict.note for sample in samples if sample.flow == flow.name and sample.verdict.kind is Kind.ERROR
    ]
    return [f"{len(errors)} requests of {flow.name} got errors: {', '.join(sorted(set(errors)))}"] if errors else []


def late_of(samples: Sequence[Sample], flow: Flow, start: float) -> list[str]:
    """A line, if requests of a flow with a deadline were answered later than that."""
    limit = DEADLINE_MS / 1000 + DEADLINE_SLACK_S
    took = [sample.done - sample.sent for sample in samples if sample.flow == flow.name and sample.sent >= start]
    late = [each for each in took if each > limit]
    return [f"{len(late)} of {len(took)} requests of {flow.name} took up to {max(late):.1f} s"] if late else []
