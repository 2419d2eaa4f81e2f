"""`readability watch`: what it prints, and the exit code that a pipeline goes by."""

import json
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from readability_triton.cli.main import main
from tests.watch.streams import arms, pairs


@pytest.fixture
def run():
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["watch", *map(str, arguments)])

    return run


def split_lines(*streams) -> str:
    return "".join(
        json.dumps(
            {
                "event": "split",
                "arm": data.names[int(candidate)],
                "candidate": data.names[1],
                "share": 0.5,
                "key": None,
                "ms": round(ms, 3),
                "outcome": "InferenceError" if wrong else "ok",
            }
        )
        + "\n"
        for data in streams
        for candidate, ms, wrong in zip(data.is_candidate, data.milliseconds, data.is_wrong, strict=True)
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "split.jsonl"


@pytest.mark.parametrize(
    ("n", "ratio", "code", "says"),
    [
        (30_000, 1.0, 0, "no worse than the margins allow"),
        (5000, 1.3, 1, "requests: worse."),
        (100, 1.0, 10, "undecided: more requests are needed"),
    ],
)
def test_the_exit_code_is_the_verdict(run, log, n: int, ratio: float, code: int, says: str) -> None:
    log.write_text(split_lines(arms(1, n, ratio)))
    result = run(log)
    assert result.exit_code == code, result.output
    assert says in " ".join(result.stdout.split())


def test_a_line_of_json_says_all_of_it(run, log) -> None:
    log.write_text(split_lines(arms(1, 5000, 1.3)))
    result = run(log, "--json", "--measures", "p90,wrong")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["verdict"]) == (1, "worse")
    assert found["arms"] == ["ensemble_all", "bls_pipeline"]
    assert sum(found["n"]) == 5000
    p90, wrong = found["findings"]
    assert (p90["measure"], wrong["measure"]) == ("p90", "wrong")
    assert p90["low"] <= p90["estimate"] <= p90["high"]
    assert p90["e"] > 40


def test_pairs_of_a_shadow_are_judged(run, tmp_path: Path) -> None:
    data = pairs(1, 300, 1.2)
    file = tmp_path / "shadow.jsonl"
    line = {"event": "shadow", "answer": "ensemble_all", "candidate": "parallel", "verdict": "same"}
    file.write_text(
        "".join(
            json.dumps(line | {"again_ms": first, "candidate_ms": second}) + "\n"
            for first, second in zip(data.first, data.second, strict=True)
        )
    )
    result = run(file)
    assert result.exit_code == 1
    assert "pair" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name LOG or --url, one of them"),
        (("log", "--url", "http://localhost:9"), "name LOG or --url, one of them"),
        (("nothing.jsonl",), "No such file"),
        (("nothing.jsonl", "--measures", "p75"), "is none of p50, p90, p99, wrong"),
        (("nothing.jsonl", "--margin", "0"), "--margin"),
    ],
)
def test_usage_is_exit_code_2(run, arguments, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_log_that_is_none_is_exit_code_2_and_named(run, log) -> None:
    log.write_text("texts\n")
    result = run(log)
    assert result.exit_code == 2
    assert f"{log}, line 1" in result.output
    assert "Traceback" not in result.output


def test_a_server_that_is_not_there_is_exit_code_3(run) -> None:
    result = run("--url", "http://localhost:9/metrics")
    assert result.exit_code == 3
    assert "refused" in result.output


def test_an_empty_log_is_undecided(run, log) -> None:
    log.write_text("")
    assert run(log).exit_code == 10
    assert json.loads(run(log, "--json").stdout) == {"verdict": "undecided", "findings": []}


def test_it_follows_a_log_until_it_is_decided(run, log) -> None:
    first, second = arms(1, 100, 1.5), arms(2, 5000, 1.5)
    log.write_text(split_lines(first))

    def grow() -> None:
        with log.open("a") as more:
            more.write(split_lines(second))

    growing = threading.Timer(0.5, grow)
    growing.start()
    result = run(log, "--follow", "--every", 0.1, "--json")
    growing.join()
    assert result.exit_code == 1
    shown = [json.loads(line)["verdict"] for line in result.stdout.splitlines()]
    assert shown[-1] == "worse"
    assert set(shown[:-1]) <= {"undecided"}


def test_it_follows_no_longer_than_it_may(run, log) -> None:
    log.write_text(split_lines(arms(1, 100)))
    assert run(log, "--follow", "--every", 0.1, "--at-most", 0.3).exit_code == 10


def test_help_has_examples_and_exit_codes(run) -> None:
    text = run("--help").stdout
    assert "readability watch split.jsonl" in text
    assert "10 undecided" in text
