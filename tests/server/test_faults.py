"""Short runs of what `make faults` and `make soak` do at length, on a real server."""

import json
import re
import subprocess
import sys

READABILITY = [sys.executable, "-m", "readability_triton.cli.main"]


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([*READABILITY, *arguments], capture_output=True, text=True, timeout=240)


# The model is loaded again, or, where answers were outstanding, the server started again.
DIED = re.compile("bert-large: its process died|the process died of bert-large")


def test_faults_are_survived_and_accounted_for() -> None:
    names = ("kill-bert-large", "raise-preprocess", "hostile")
    chosen = [word for name in names for word in ("--only", name)]
    ended = run("faults", *chosen, "--seconds", "1", "--cases", "60", "--format", "json")
    results = {result["fault"]: result for result in json.loads(ended.stdout)}
    assert results.keys() == set(names)
    for result in results.values():
        assert result["wrong"] == result["unanswered"] == 0, result
        assert result["right"] > 0
        assert not result["broken"], result
    assert any(DIED.search(note) for note in results["kill-bert-large"]["notes"])
    assert ended.returncode == 0


def test_faults_are_listed() -> None:
    listed = run("faults", "--list")
    assert listed.returncode == 0
    assert "kill-bert-large" in listed.stdout


def test_a_short_soak_is_all_right() -> None:
    ended = run("soak", "--requests", "400", "--format", "json")
    found = json.loads(ended.stdout)
    assert found["requests"] == 400
    assert found["right"] > 300
    assert found["refused"] > 0
    assert found["cancelled"] > 0
    assert found["error"] == found["wrong"] == found["unanswered"] == 0, found["notes"]
    names = {name for reading in found["readings"] for name in reading["values"]}
    assert {"tritonserver memory", "bert-large files", "shared memory"} <= names
