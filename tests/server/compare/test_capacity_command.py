"""`readability capacity` on a real server; how fast it is is not asserted."""

import json
import os
import signal

import pytest

from tests.server.compare.commands import run, start


def test_both_pipelines_are_probed_with_bulk_requests_and_all_reports_are_written(server, tmp_path):
    files = ("--html", tmp_path / "c.html", "--json", tmp_path / "c.json", "--svg", tmp_path / "c.svg")
    mixed = ("--beside", "4", "--bulk-share", "0.1")
    code, out, err = run("capacity", "--url", server.grpc_url, "--slo", "p80=2s", "--seconds", "12", *mixed, *files)
    assert code in (0, 1), err  # so short, it may find too much noise
    assert "ensemble_all" in out
    assert "Both give the same answers to" in out
    record = json.loads((tmp_path / "c.json").read_text())
    assert [arm["label"] for arm in record["arms"]] == ["ensemble_all", "bls_pipeline"]
    for arm in record["arms"]:
        assert arm["throughput"] > 0
        assert arm["curve"]
        assert all(probe["errors"] == {} and probe["seconds"] > 0 for probe in arm["curve"])
        assert 0 < max(probe["client_share"] for probe in arm["curve"]) < 1
    assert record["environment"]["models"]["bls_pipeline"]
    assert (tmp_path / "c.html").read_text().startswith("<!doctype html>")
    assert "<svg" in (tmp_path / "c.svg").read_text()


def test_json_on_standard_output_is_all_that_is_there(sleeping):
    code, out, _ = run(
        "capacity", "single", "--url", sleeping.grpc_url, "--slo", "p90=30ms", "--seconds", "6", "--json", "-"
    )
    assert code in (0, 1)
    (arm,) = json.loads(out)["arms"]
    assert arm["label"] == "single"
    assert arm["curve"]


def test_a_bound_that_never_holds_is_an_answer(sleeping):
    code, out, err = run("capacity", "constant_20", "--url", sleeping.grpc_url, "--slo", "p99=10ms")
    assert code == 0, err
    assert "constant_20 does not keep p99 within 10 ms at any rate" in out


def test_other_answers_end_with_an_exit_code(sleeping):
    code, out, _ = run("capacity", "single", "wrong", "--url", sleeping.grpc_url, "--slo", "p90=50ms", "--seconds", "4")
    assert code == 1
    assert "WRONG" in out


def test_stopped_with_ctrl_c_it_reports_what_it_has(sleeping, tmp_path):
    arguments = ("capacity", "single", "--url", sleeping.grpc_url, "--slo", "p90=30ms", "--seconds", "600")
    # As from a terminal, the signal goes to the process that sends requests too.
    process = start(*arguments, "--html", tmp_path / "c.html", start_new_session=True)
    try:
        next(line for line in process.stderr if line.startswith("probing"))
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "! Incomplete: stopped by the user." in out
    assert "Incomplete" in (tmp_path / "c.html").read_text()
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("single",), 2, "Missing option '--slo'"),
        (("single", "--slo", "150ms"), 2, "is no bound"),
        (("a", "b", "c", "--slo", "p99=1s"), 2, "one arm or two"),
        (("nothing", "--slo", "p99=1s"), 4, "nothing"),
        (("single", "--slo", "p99=1s", "--url", "grpc://127.0.0.1:1"), 3, "no server"),
        (("single", "--slo", "p99=1s", "--url", "http://127.0.0.1:1"), 1, "not a gRPC address"),
        (("single", "--slo", "p99=1s", "--ca", __file__), 1, "certificates are for grpcs"),
        (("single", "--slo", "p99=1s", "--header", "nonsense"), 2, "is not NAME:VALUE"),
    ],
)
def test_mistakes_are_reported_in_one_line(sleeping, arguments, code, message):
    found, out, err = run("capacity", "--url", sleeping.grpc_url, *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
