"""`readability score` and `demo` against a real server, as a person or a script runs them."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from readability_triton.cli.samples import sample_passages
from readability_triton.client.scorer import Scorer
from readability_triton.serving.server import TritonServer

PASSAGES = sample_passages()


def score(server: TritonServer, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "readability_triton.cli.main", "score", "--url", server.grpc_url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=120)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    easy, hard = tmp_path / "easy.txt", tmp_path / "hard.txt"
    easy.write_text(PASSAGES["01-first-reader"])
    hard.write_text("\n\n".join(PASSAGES[name] for name in ("06-magazine-article", "08-essay", "10-journal-abstract")))
    return [str(easy), str(hard)]


def test_json_is_clean_and_its_scores_are_the_servers(server: TritonServer, files: list[str]) -> None:
    result = score(server, "--format", "json", "--bert-weight", "0.5", *files)
    assert result.returncode == 0
    easy, hard = json.loads(result.stdout)["documents"]
    assert [easy["name"], hard["name"]] == files
    text = Path(files[1]).read_text()
    parts = [text[passage["start"] : passage["end"]] for passage in hard["passages"]]
    with Scorer("ensemble_all", None, server.grpc_url) as scorer:
        expected = scorer.score(parts, 0.5).values
    assert [passage["score"] for passage in hard["passages"]] == pytest.approx(expected, abs=1e-4)
    assert easy["score"] > hard["score"]
    assert hard["hardest_passage"] == len(parts)
    assert hard["answered_by"] == ["bls_pipeline"]


def test_csv_has_a_line_a_passage(server: TritonServer, files: list[str]) -> None:
    result = score(server, "--format", "csv", *files)
    lines = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(line["document"], line["passage"]) for line in lines[:2]] == [(files[0], "1"), (files[1], "1")]
    assert all(0 <= float(line["percentile"]) <= 100 for line in lines)


def test_the_table_says_how_easy_and_where_it_is_hardest(server: TritonServer, files: list[str]) -> None:
    result = score(server, *files)
    assert "easier than" in result.stdout
    assert "hardest" in result.stdout
    assert result.stderr == ""


def test_scores_come_with_intervals_and_levels_that_fall_with_them(server: TritonServer, files: list[str]) -> None:
    documents = json.loads(score(server, "--format", "json", *files).stdout)["documents"]
    for each in (*documents, *documents[0]["passages"], *documents[1]["passages"]):
        assert each["low"] < each["score"] < each["high"]
    assert documents[0]["level"] in ("A1", "A2")
    assert documents[1]["level"] in ("C1", "C2")


@pytest.mark.parametrize(
    "arguments",
    [("--bert-weight", "0.5"), ("--policy", "deadline", "--set", "deadline_ms=0")],
    ids=["another weight", "the encoder skipped"],
)
def test_a_score_that_intervals_were_not_calibrated_on_has_neither(
    server: TritonServer, files: list[str], arguments: tuple[str, ...]
) -> None:
    easy, hard = json.loads(score(server, "--format", "json", *arguments, *files).stdout)["documents"]
    for each in (easy, hard, *easy["passages"], *hard["passages"]):
        assert (each["low"], each["high"], each["level"]) == (None, None, None)


def test_standard_input_is_scored(server: TritonServer) -> None:
    result = score(server, "--format", "json", "-", stdin=PASSAGES["08-essay"])
    assert json.loads(result.stdout)["documents"][0]["name"] == "-"


def test_a_model_that_is_not_there_falls_back_and_says_so(server: TritonServer) -> None:
    result = score(server, "--format", "json", "--model-name", "no_such_model", stdin="A cat sat.")
    assert json.loads(result.stdout)["documents"][0]["answered_by"] == ["ensemble_all"]


def test_without_a_fallback_it_fails_with_nothing_on_standard_output(server: TritonServer) -> None:
    result = score(server, "--model-name", "no_such_model", "--fallback", "", stdin="A cat sat.")
    assert (result.returncode, result.stdout) == (4, "")
    assert "no_such_model" in result.stderr


def test_much_work_shows_progress_on_standard_error_only(server: TritonServer) -> None:
    result = score(server, "--format", "csv", stdin=" ".join(f"Number {n} is here today." for n in range(1600)))
    assert "scoring" in result.stderr
    assert result.stdout.startswith("document,passage,")


FRENCH = "Le chat est assis sur le tapis et il regarde la mer pendant que les enfants jouent au bord de la route."


def test_doubtful_scores_are_flagged(server: TritonServer, files: list[str], tmp_path: Path) -> None:
    french = tmp_path / "french.txt"
    french.write_text(FRENCH)
    result = score(server, "--format", "json", str(french), *files)
    assert result.returncode == 0
    documents = json.loads(result.stdout)["documents"]
    assert [document["flags"] for document in documents] == [["language:fr"], [], []]
    assert "in language fr" in " ".join(score(server, str(french)).stdout.split())


def test_strict_refuses_them_and_scores_the_others(server: TritonServer, files: list[str], tmp_path: Path) -> None:
    french = tmp_path / "french.txt"
    french.write_text(FRENCH)
    result = score(server, "--strict", "--format", "json", str(french), *files)
    assert result.returncode == 2
    refused, *scored = json.loads(result.stdout)["documents"]
    assert (refused["score"], refused["refused"]) == (None, True)
    assert all(isinstance(document["score"], float) for document in scored)
    assert "french.txt: refused: language:fr" in "".join(result.stderr.splitlines())


def test_strict_has_the_reason_in_the_row_of_a_table(server: TritonServer, tmp_path: Path) -> None:
    table, target = tmp_path / "in.csv", tmp_path / "out.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["text"], [FRENCH], [PASSAGES["08-essay"]]])
    result = score(server, "--strict", "--column", "text", "--output", str(target), str(table))
    assert result.returncode == 2
    with target.open(newline="") as file:
        french, essay = csv.DictReader(file)
    assert (french["score"], french["flags"], french["error"]) == ("", "language:fr", "refused: language:fr")
    assert float(essay["score"])
    assert (essay["flags"], essay["error"]) == ("", "")
