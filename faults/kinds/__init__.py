"""The faults, a file a group."""
