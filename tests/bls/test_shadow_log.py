"""The log of shadows: every line whole, two files of bounded size, and no wait for the disk."""

import json
from pathlib import Path

import pytest

from readability_triton.bls.shadow_log import MOST_WAITING, ShadowLog


def test_lines_are_appended_in_order(tmp_path: Path) -> None:
    file = tmp_path / "shadow.jsonl"
    file.write_text("before\n")
    log = ShadowLog(file, 1_000_000)
    for number in range(100):
        log.write(json.dumps(number))
    log.close()
    assert file.read_text().splitlines() == ["before", *map(str, range(100))]


def test_two_files_of_bounded_size_hold_the_last_lines(tmp_path: Path) -> None:
    file = tmp_path / "shadow.jsonl"
    for number in range(50):
        log = ShadowLog(file, 100)
        log.write(f"{number:09}")
        log.close()
    files = sorted(tmp_path.iterdir())
    assert [each.name for each in files] in (["shadow.jsonl.1"], ["shadow.jsonl", "shadow.jsonl.1"])
    lines = [line for each in reversed(files) for line in each.read_text().splitlines()]
    assert lines == [f"{number:09}" for number in range(50 - len(lines), 50)]
    assert len(lines) >= 10
    assert all(each.stat().st_size <= 110 for each in files)


def test_a_disk_that_stands_still_costs_lines_and_no_wait(tmp_path: Path) -> None:
    log = ShadowLog(tmp_path / "shadow.jsonl", 1_000_000)
    log.close()  # nothing takes lines any more
    for number in range(2 * MOST_WAITING):
        log.write(str(number))
    assert (tmp_path / "shadow.jsonl").read_text() == ""


def test_a_file_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        ShadowLog(tmp_path / "missing" / "shadow.jsonl", 100)
