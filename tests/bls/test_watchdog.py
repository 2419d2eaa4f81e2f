"""Requests whose deadline has passed are answered even if their loop stands still."""

import math

from readability_triton.bls.answer import AnswerOnce
from readability_triton.bls.stages import StageError, StageLateError
from readability_triton.bls.watchdog import GRACE_S, Watchdog


def test_what_is_overdue_is_answered_once_and_nothing_else() -> None:
    now = [100.0]
    watchdog = Watchdog(lambda: now[0])
    answers: dict[str, list[object]] = {"overdue": [], "in time": [], "answered": [], "without a deadline": []}
    for name, deadline in (
        ("overdue", 101.0),
        ("in time", 110.0),
        ("answered", 101.0),
        ("without a deadline", math.inf),
    ):
        watchdog.add(once := AnswerOnce(answers[name].append), deadline)
        if name == "answered":
            once.send(error := StageError("cuml", "failed"))
            watchdog.remove(once)
    now[0] = 101.0 + GRACE_S
    assert watchdog.look() == 0
    now[0] += 0.1
    assert watchdog.look() == 1
    assert watchdog.look() == 0
    assert [type(each) for each in answers["overdue"]] == [StageLateError]
    assert answers["answered"] == [error]
    assert not answers["in time"]
    assert not answers["without a deadline"]


def test_its_thread_ends() -> None:
    watchdog = Watchdog()
    watchdog.start()
    watchdog.stop()
