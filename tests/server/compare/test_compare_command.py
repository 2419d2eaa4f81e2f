"""`readability compare` and `readability placements`, as a person runs them."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import InferenceServerClient

from readability_triton.serving.gpu import missing_requirements
from readability_triton.serving.repository import default_repository
from readability_triton.serving.server import Options, TritonServer, running
from tests.server.compare.commands import run, start


def short(server: TritonServer) -> tuple[str, ...]:
    return ("--url", server.grpc_url, "--seconds", "3", "--warm-up", "1", "--concurrency", "1", "--rate", "none")


@pytest.mark.parametrize("other", ["bls_pipeline", "hybrid"])
def test_pipelines_give_the_same_answers_and_a_report(server, tmp_path, other):
    html, record = tmp_path / "report.html", tmp_path / "record.json"
    code, out, err = run("compare", "ensemble_all", other, *short(server), "--html", html, "--json", record)
    assert code == 0, err
    assert "Both give the same answers to 10 requests" in out
    assert "216 tokens a request (156 to 275)" in out
    assert "bert-large" in out
    assert html.read_text().startswith("<!doctype html>")
    content = json.loads(record.read_text())
    assert content["summary"]["same_answers"] is True
    assert set(content["environment"]["models"]) >= {"ensemble_all", "bls_pipeline", "bert-large", "cuml"}
    assert content["environment"]["packages"]["tritonclient"]


def test_a_mixed_load_is_reported_like_the_others(server, tmp_path):
    record = tmp_path / "record.json"
    code, out, err = run("compare", *short(server), "--beside", "8", "--json", record)
    assert code == 0, err
    assert "closed loop, concurrency 1, beside one client of 8 texts a request" in out
    assert "beside/s" in out
    (load,) = json.loads(record.read_text())["summary"]["loads"]
    assert load["beside"]["first"] > 0
    assert load["beside"]["second"] > 0


def test_an_a_a_comparison_has_two_labels(sleeping):
    code, out, err = run("compare", "--aa", "constant_20", *short(sleeping))
    assert code == 0, err
    assert "A: constant_20 (A)\nB: constant_20 (B)" in out


def test_other_answers_end_with_an_exit_code(sleeping):
    code, out, _ = run("compare", "constant_20", "wrong", *short(sleeping))
    assert code == 1
    assert "WRONG" in out


def test_requests_of_ones_own_are_sent(sleeping, tmp_path):
    (tmp_path / "data.json").write_text(json.dumps({"data": [{"excerpt": ["a"], "BERT_WEIGHT": [0.5]}]}))
    code, out, err = run("compare", "constant_20", "single", *short(sleeping), "--input-data", tmp_path / "data.json")
    assert code == 0, err
    assert "1 requests, data.json" in out


def test_lengths_can_be_drawn(server):
    code, out, err = run("compare", "--words", "constant:40", "--batch", "2", *short(server))
    assert code == 0, err
    assert "50 requests, constant:40 words" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing", "single"), 4, "nothing"),
        (("--aa", "a", "b"), 1, "name one"),
        (("?a=1", "single"), 1, "names no model"),
        (("single", "wrong", "--words", "gamma:1"), 1, "no distribution"),
        (("single", "wrong", "--words", "constant:1", "--texts", __file__), 1, "exclude one another"),
        (("single", "wrong", "--url", "http://localhost:1"), 1, "not a gRPC address"),
        (("single", "wrong", "--url", "grpc://127.0.0.1:1"), 3, "no server"),
        (("single", "wrong", "--rate", "fast"), 2, "neither a rate"),
    ],
)
def test_mistakes_are_reported_in_one_line(sleeping, arguments, code, message):
    found, out, err = run("compare", "--url", sleeping.grpc_url, "--seconds", "1", *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


@contextmanager
def long_comparison(server: TritonServer, *arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen]:
    """A comparison of ten minutes once it has measured some blocks; killed at the end of the test, if it still runs."""
    command = ("compare", "single", "constant_20", *short(server), "--seconds", "600", *arguments)
    with start(*command, **options) as process:
        try:
            assert process.stderr
            next(line for line in process.stderr if line.startswith("closed loop"))
            # A block of either arm is a second here, some 45 requests.
            wait_for_requests(server, "constant_20", 200)
            yield process
        finally:
            process.kill()


def wait_for_requests(server: TritonServer, model: str, n_more: int) -> None:
    """Return when the server has counted so many more requests of a model."""
    with InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as client:

        def counted() -> int:
            return client.get_inference_statistics(model).model_stats[0].inference_stats.success.count

        first = counted()
        deadline = time.monotonic() + 60
        while counted() < first + n_more:
            assert time.monotonic() < deadline, f"fewer than {n_more} requests of {model} in a minute"
            time.sleep(0.1)


@pytest.mark.parametrize("ignored", [False, True], ids=["as from a terminal", "started with SIGINT ignored"])
def test_stopped_with_ctrl_c_it_reports_what_it_has(sleeping, tmp_path, ignored):
    html = tmp_path / "report.html"
    disposition = signal.SIG_IGN if ignored else signal.SIG_DFL
    options = {"preexec_fn": lambda: signal.signal(signal.SIGINT, disposition)}
    with long_comparison(sleeping, "--html", html, **options) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "! Incomplete: stopped by the user." in out
    assert "Incomplete" in html.read_text()
    assert "Traceback" not in err


def test_a_server_that_dies_is_reported_with_what_there_was(sleepers):
    with running(Options(sleepers)) as server, long_comparison(server) as process:
        server.process.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "! Incomplete: the server" in out
    assert "Traceback" not in err


def test_placements_are_measured_and_those_that_cannot_run_are_named(tmp_path):
    html, record = tmp_path / "p.html", tmp_path / "p.json"
    small = ("--largest", "4", "--rounds", "1", "--seconds", "0")
    code, out, err = run("placements", *small, "--html", html, "--json", record)
    assert code == 0, err
    content = json.loads(record.read_text())
    names = {"ensemble_all, all on CPU", "bls_pipeline, all on CPU", "hybrid, models on CPU"}
    assert names <= set(content["figures"])
    for rows in content["figures"].values():
        assert [row["batch"] for row in rows] == [1, 2, 4]
        assert all(row["per_second"] > 0 and row["latency_ms"] > 0 for row in rows)
    for name in names:
        assert content["best_use"][name]["tokens_per_second"] > 0
        assert content["best_use"][name]["share_of_peak"] is None
        assert f"{name}: " in out
    if missing_requirements(default_repository()):
        assert set(content["figures"]) == names
        assert len(content["not_run"]) == 3
        assert "not run: ensemble_all, all on GPU: no NVIDIA GPU or no driver here" in out
        assert "all on GPU" in html.read_text()


@pytest.mark.skipif(not missing_requirements(default_repository()), reason="this machine has all for the GPU")
def test_a_placement_that_cannot_be_had_is_an_error_where_it_is_the_only_one() -> None:
    code, out, err = run("placements", "--placement", "gpu")
    assert code == 7
    assert not out
    assert "nothing can be measured here: no NVIDIA GPU or no driver here" in err
