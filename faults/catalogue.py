"""Every fault, in the order in which they are tried."""

from faults.hostile import fatal
from faults.hostile import requests as hostile
from faults.kinds import ending, leaving, loading, queues, shared_memory, stages, stubs

FAULTS = {
    fault.name: fault
    for module in (stubs, queues, leaving, hostile, stages, loading, ending, shared_memory, fatal)
    for fault in module.FAULTS
}
"""By name. Those that share a server over the same repository stand together."""
