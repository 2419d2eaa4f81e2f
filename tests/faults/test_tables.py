"""What is shown is what was counted."""

import io
from collections import Counter

from rich.console import Console

from readability_triton.faults.result import Result
from readability_triton.faults.tables import as_json, as_table, remarks
from readability_triton.faults.verdict import Kind

GOOD = Result("kill-cuml", Counter({Kind.RIGHT: 40, Kind.DEGRADED: 3, Kind.ERROR: 2}), Counter({"Busy": 2}), 1.25)
BAD = Result("hang", Counter({Kind.RIGHT: 1, Kind.WRONG: 1}), broken=["too late"], notes=["wrong: a: 1 instead of 2"])
SKIPPED = Result("memory", skipped="takes root")


def shown() -> list[list[str]]:
    console = Console(file=io.StringIO(), width=120)
    console.print(as_table([GOOD, BAD, SKIPPED]))
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_the_table_has_a_row_a_fault() -> None:
    assert ["kill-cuml", "45", "40", "3", "2", "0", "0", "1.2", "s"] in shown()
    assert ["hang", "2", "1", "0", "0", "1", "0"] in shown()
    assert ["memory", "skipped"] in shown()


def test_what_was_wrong_or_not_as_promised_makes_a_run_fail() -> None:
    assert [result.failed for result in (GOOD, BAD, SKIPPED)] == [False, True, False]
    assert Result("a", broken=["x"]).failed
    assert Result("a", Counter({Kind.UNANSWERED: 1})).failed


def test_remarks_hold_the_rest() -> None:
    lines = remarks([GOOD, BAD, SKIPPED])
    assert "kill-cuml: 2 Busy" in lines
    assert "hang: NOT AS PROMISED: too late" in lines
    assert "memory: skipped: takes root" in lines


def test_json_has_every_count() -> None:
    good, bad, skipped = as_json([GOOD, BAD, SKIPPED])
    assert (good["sent"], good["right"], good["degraded"], good["error"], good["recovery_s"]) == (45, 40, 3, 2, 1.25)
    assert bad["broken"] == ["too late"]
    assert skipped["skipped"] == "takes root"
