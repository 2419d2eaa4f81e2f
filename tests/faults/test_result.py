"""Requests are counted by what they got, and the worst of it is noted."""

from readability_triton.faults.load import Sample
from readability_triton.faults.result import MOST_NOTES, account
from readability_triton.faults.verdict import Kind, Verdict


def sample(kind: Kind, note: str = "") -> Sample:
    return Sample("flow", 0.0, 1.0, Verdict(kind, note))


def test_every_request_is_counted_once() -> None:
    result = account("fault", [sample(Kind.RIGHT), sample(Kind.RIGHT), sample(Kind.ERROR, "Busy")], 1.0)
    assert (result.sent, result.counts[Kind.RIGHT], result.errors) == (3, 2, {"Busy": 1})
    assert not result.failed


def test_what_is_wrong_or_unanswered_is_noted_but_not_all_of_it() -> None:
    bad = [sample(Kind.WRONG, f"score {number}") for number in range(MOST_NOTES)] + [sample(Kind.UNANSWERED)]
    result = account("fault", bad, notes=["reloaded"])
    assert result.failed
    assert result.notes[:2] == ["reloaded", "wrong: flow: score 0"]
    assert len(result.notes) == 1 + MOST_NOTES


def test_notes_can_be_added() -> None:
    assert account("fault", [], notes=["a"]).noting("b", "c").notes == ["a", "b", "c"]
