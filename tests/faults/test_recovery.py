"""A server is in order again when every flow is, and for good."""

import pytest

from readability_triton.faults.load import IN_A_ROW, Sample, seconds_to_recover
from readability_triton.faults.traffic import DEADLINE
from readability_triton.faults.verdict import Kind, Verdict

AT = 100.0


def samples(flow: str, kinds: list[Kind]) -> list[Sample]:
    """One a second from the fault on."""
    return [Sample(flow, AT + at, AT + at + 0.5, Verdict(kind)) for at, kind in enumerate(kinds)]


RIGHT, BAD = [Kind.RIGHT] * IN_A_ROW, [Kind.ERROR, Kind.DEGRADED]


def test_what_was_never_out_of_order_needs_no_time() -> None:
    assert seconds_to_recover(samples("a", RIGHT), AT, ["a"]) == 0.0


def test_it_takes_until_the_first_right_answer_after_the_last_that_was_not() -> None:
    assert seconds_to_recover(samples("a", [Kind.RIGHT, *BAD, *RIGHT]), AT, ["a"]) == 3.5


def test_the_slowest_flow_counts() -> None:
    both = samples("a", [*BAD, *RIGHT]) + samples("b", [*BAD, *BAD, *RIGHT])
    assert seconds_to_recover(both, AT, ["a", "b"]) == 4.5


@pytest.mark.parametrize("kinds", [[], RIGHT[1:], [*RIGHT, Kind.ERROR], [*BAD, *RIGHT[1:]]])
def test_too_few_right_answers_in_a_row_are_no_recovery(kinds: list[Kind]) -> None:
    assert seconds_to_recover(samples("a", kinds) + samples("b", RIGHT), AT, ["a", "b"]) is None


def test_what_ended_before_the_fault_does_not_count() -> None:
    assert seconds_to_recover(samples("a", [*BAD, *RIGHT]), AT + 2, ["a"]) == 0.0


def test_only_a_request_with_a_deadline_may_be_degraded_by_a_busy_machine() -> None:
    degraded = [Kind.DEGRADED] * IN_A_ROW
    assert seconds_to_recover(samples(DEADLINE.name, degraded), AT, [DEADLINE.name]) == 0.0
    assert seconds_to_recover(samples("fallback", degraded), AT, ["fallback"]) is None
