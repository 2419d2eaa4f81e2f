import os
import platform

from readability_triton.compare.machine import describe_machine


def test_the_machine_is_described_by_processor_cores_and_python():
    processor, cores, python = describe_machine().rsplit(", ", 2)
    assert processor
    assert cores == f"{len(os.sched_getaffinity(0))} cores"
    assert python == f"Python {platform.python_version()}"


def test_only_cores_that_this_process_may_use_are_counted():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert ", 1 cores, " in describe_machine()
    finally:
        os.sched_setaffinity(0, before)
