"""Every fault, in the order in which they are tried."""

from readability_triton.faults.hostile import fatal
from readability_triton.faults.hostile import requests as hostile
from readability_triton.faults.kinds import ending, leaving, loading, owned_queue, queues, shared_memory, stages, stubs

FAULTS = {
    fault.name: fault
    for module in (stubs, queues, leaving, owned_queue, hostile, stages, loading, ending, shared_memory, fatal)
    for fault in module.FAULTS
}
"""By name. Those that share a server over the same repository are adjacent."""
