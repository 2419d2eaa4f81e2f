"""Logs are read as they grow, whole lines only, across the change of files, and what is none is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from readability_triton.bls.shadow_log import ShadowLog
from readability_triton.watch.records import Arms, Log, LogError, Pairs


def split(arm: str = "new", **fields: Any) -> str:
    line = {"event": "split", "arm": arm, "candidate": "new", "share": 0.5, "key": None, "ms": 3.0, "outcome": "ok"}
    return json.dumps(line | fields)


def shadow(verdict: str = "same", **fields: Any) -> str:
    line = {"event": "shadow", "answer": "old", "candidate": "new", "verdict": verdict, "again_ms": 2.0}
    return json.dumps(line | {"candidate_ms": 3.0} | fields)


@pytest.fixture
def write(tmp_path: Path):
    def write(*lines: str) -> Log:
        file = tmp_path / "log.jsonl"
        file.write_text("".join(f"{line}\n" for line in lines))
        return Log(file)

    return write


def test_a_split_is_two_arms(write) -> None:
    log = write(split(), split("old", ms=5.0), split(outcome="fell-back", share=0.1))
    assert log.read() == 3
    data = log.data()
    assert isinstance(data, Arms)
    assert data.names == ("old", "new")
    assert data.is_candidate.tolist() == [True, False, True]
    assert data.is_wrong.tolist() == [False, False, True]
    assert data.shares.tolist() == [0.5, 0.5, 0.1]
    np.testing.assert_allclose(data.milliseconds, [3, 5, 3], atol=0.001)
    assert len(set(data.milliseconds)) == 3  # times that were rounded alike are no ties


def test_requests_that_say_nothing_of_an_arm_are_left_out(write) -> None:
    log = write(split(outcome="invalid"), split(share=1.0), split("old", share=0.0), split(candidate="older"), split())
    log.read()
    assert len(log.data().is_candidate) == 1


def test_of_each_key_the_first_request_may_count_alone(write) -> None:
    lines = [split(key="a"), split(key="a"), split("old", key="b"), split(key=None), split(key=None)]
    log = write(*lines)
    log.first_of_key = True
    log.read()
    assert log.data().is_candidate.tolist() == [True, False, True, True]


def test_a_shadow_is_pairs_where_both_ran(write) -> None:
    log = write(
        shadow(), shadow("differs"), shadow("late", candidate_ms=2000.0), shadow(again_ms=None), shadow("kept-out")
    )
    log.read()
    data = log.data()
    assert isinstance(data, Pairs)
    assert data.names == ("old", "new")
    assert data.is_wrong.tolist() == [False, True, True, False]
    np.testing.assert_allclose([data.first, data.second], [[2, 2], [3, 3]], atol=0.001)


def test_only_the_last_candidate_is_compared(write) -> None:
    log = write(shadow("failed"), shadow(candidate="newer"))
    log.read()
    assert log.data().is_wrong.tolist() == [False]


def test_a_log_is_read_as_it_grows_and_half_a_line_waits(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    line = split()
    file.write_text(line[:20])
    log = Log(file)
    assert log.read() == 0
    assert log.data() is None
    file.write_text(line + "\n")
    assert log.read() == 1
    assert log.read() == 0
    with file.open("a") as more:
        more.write(split() + "\n")
    assert log.read() == 1


def test_what_went_to_the_older_file_meanwhile_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    log = Log(file)
    n_lines = 0
    for number in range(30):
        writing = ShadowLog(file, 1000)
        writing.write(shadow(candidate_ms=float(number + 1)))
        writing.close()
        n_lines += log.read()
    assert n_lines == 30
    np.testing.assert_allclose(log.data().second, np.arange(1, 31), atol=0.001)


def test_both_files_are_read_at_first(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    (tmp_path / "log.jsonl.1").write_text(split() + "\n")
    file.write_text(split() + "\n")
    assert Log(file).read() == 2


@pytest.mark.parametrize(
    "line",
    ["what?", "[]", "{}", '{"event": "degraded"}', '{"event": "split", "arm": "a"}', "3"],
)
def test_a_line_that_is_none_is_named(write, line: str) -> None:
    with pytest.raises(LogError, match=r"log.jsonl, line 2: neither of a split nor of a shadow"):
        write(split(), line).read()


def test_two_kinds_in_a_log_are_refused(write) -> None:
    log = write(split(), shadow())
    log.read()
    with pytest.raises(LogError, match="watch one of them"):
        log.data()


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Log(tmp_path / "none").read()
