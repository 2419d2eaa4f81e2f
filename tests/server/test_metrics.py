"""The Prometheus counters of bls_pipeline, before and after requests whose course is known."""

import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.cli.samples import sample_passages
from readability_triton.serving.server import TritonServer

TEXTS = list(sample_passages().values())[:4]
PATIENCE_S = 10

Ask = Callable[..., dict[str, np.ndarray]]


def counters(server: TritonServer) -> Counter[str]:
    """All of bls_pipeline's, as they are written: `name{label="value"}`."""
    with urllib.request.urlopen(server.metrics_url) as response:
        lines = response.read().decode().splitlines()
    return Counter(
        {
            name: float(value)
            for name, value in (re.split(r" (?=\S+$)", each) for each in lines if each.startswith("bls_"))
        }
    )


def settled(server: TritonServer) -> Counter[str]:
    """What they stand at when all that has been is reported."""
    seen = counters(server)
    while True:
        time.sleep(2.5)  # longer than `readability_triton.bls.metrics.EVERY_S`
        now = counters(server)
        if now == seen:
            return now
        seen = now


@pytest.fixture(scope="module")
def added(server: TritonServer, ask_bls: Ask) -> Counter[str]:
    """What the requests below added."""
    before = settled(server)
    url = server.grpc_url
    ask_bls(url, TEXTS)
    ask_bls(url, TEXTS[:3], policy="graph")
    ask_bls(url, [*TEXTS, "Hi."], policy="guard", on_short="refuse")
    ask_bls(url, TEXTS, [0.0, 1.0, 1.0, 1.0], policy="deadline", deadline_ms=0)
    for _ in range(2):
        with pytest.raises(InferenceServerException):
            ask_bls(url, TEXTS, policy="fastest")
    with pytest.raises(InferenceServerException):
        ask_bls(url, [""])
    return Counter({name: value - before[name] for name, value in settled(server).items() if value != before[name]})


def of(added: Counter[str], family: str) -> dict[str, float]:
    """One family's increments by label."""
    found = {name: re.fullmatch(rf'{family}(?:\{{\w+="(.*)"\}})?', name) for name in added}
    return {match[1] or "": added[name] for name, match in found.items() if match}


def test_requests_are_counted_by_policy(added) -> None:
    assert of(added, "bls_requests_total") == {"parallel": 1, "graph": 1, "guard": 1, "deadline": 1}


def test_rows_are_counted_by_route(added) -> None:
    assert of(added, "bls_rows_total") == {"bert-large+cuml": 4 + 4, "ensemble_all": 3, "cuml": 4, "refused": 1}


def test_rows_that_are_not_as_asked_for_are_counted_by_reason(added) -> None:
    assert of(added, "bls_degraded_rows_total") == {"bert-large late": 3, "refused: short": 1}


def test_errors_are_counted_by_kind(added) -> None:
    assert of(added, "bls_errors_total") == {"PolicyError": 2, "InvalidRowError": 1}


def test_rows_add_up_by_stage(added) -> None:
    assert of(added, "bls_stage_rows_total") == {
        "preprocess": 4 + 3 + 5 + 4,
        "bert-large": 4 + 3 + 4,
        "cuml": 4 + 3 + 4 + 4,
        "postprocess": 3,
    }
    assert not of(added, "bls_stage_failures_total")


def test_requests_are_counted_by_outcome(added) -> None:
    assert of(added, "bls_outcomes_total") == {"ok": 2, "degraded": 2, "invalid": 3}


def test_time_in_stages_and_queues_is_counted(added) -> None:
    calls = of(added, "bls_stage_calls_total")
    assert of(added, "bls_stage_seconds_count") == calls
    seconds = of(added, "bls_stage_seconds_sum")
    assert seconds.keys() == of(added, "bls_queue_seconds_sum").keys() == calls.keys()
    assert all(0 < each < PATIENCE_S for each in seconds.values())


def test_time_of_requests_is_counted_by_upper_bound(added) -> None:
    assert of(added, "bls_request_seconds_count") == {"": 4}
    assert of(added, "bls_request_seconds_bucket")["+Inf"] == 4


def test_nothing_waits_when_all_is_answered(server: TritonServer, added) -> None:
    assert {value for name, value in settled(server).items() if re.match("bls_rows_(queued|in_flight)", name)} == {0}


def test_every_family_says_what_it_counts(server: TritonServer, added) -> None:
    with urllib.request.urlopen(server.metrics_url) as response:
        text = response.read().decode()
    for family in {re.split(r"\{", name)[0] for name in added}:
        assert re.search(rf"# TYPE {family} (counter|gauge)", text)
        assert re.search(rf"# HELP {family} \w+", text)
