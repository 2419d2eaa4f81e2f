"""What each policy promises, on a real server over both protocols, compared with the stages in process."""

import re
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from readability_triton.bls.batch import OUTPUTS
from readability_triton.bls.policy import policy_names
from readability_triton.cli.samples import sample_passages
from readability_triton.client.scorer import Scorer
from readability_triton.serving.server import TritonServer
from readability_triton.stages.pipeline import InProcessPipeline

TOLERANCE = 1e-5
LONG_MS = 60_000
PATIENCE_S = 20
TEXTS = list(sample_passages().values())
WEIGHTS = np.linspace(0, 1, len(TEXTS), dtype=np.float32)
ALL = tuple(OUTPUTS)

Ask = Callable[..., dict[str, np.ndarray]]


class Right:
    """What the models say of the sample passages, and so what every policy must give."""

    def __init__(self, truth: InProcessPipeline) -> None:
        self.bert, self.cuml = (stage(TEXTS)[:, 0] for stage in (truth.bert, truth.cuml))
        self.blend = truth.score(TEXTS, WEIGHTS[:, None])[:, 0]


@pytest.fixture(scope="module")
def right(truth: InProcessPipeline) -> Right:
    return Right(truth)


def assert_near(scores: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE)


POLICIES = ["parallel", "graph", "fallback", "deadline", "guard"]
IN_FULL: dict[str, dict[str, Any]] = {
    "parallel": {},
    "graph": {},
    "fallback": {},
    "guard": {},
    "deadline": {"deadline_ms": LONG_MS},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_with_all_the_time_every_policy_is_the_ensemble(ask_bls: Ask, url: str, right: Right, policy: str) -> None:
    answer = ask_bls(url, TEXTS, WEIGHTS, policy=policy, **IN_FULL[policy])
    with Scorer("ensemble_all", None, url) as ensemble:
        assert_near(answer["SCORE"], ensemble.score(TEXTS, WEIGHTS.tolist()).values)
    assert_near(answer["SCORE"], right.blend)
    assert not answer["DEGRADED"].any()
    assert_near(answer["BERT_SCORE"], right.bert)
    assert_near(answer["CUML_SCORE"], right.cuml)
    assert set(answer["ROUTE"]) == {b"ensemble_all" if policy == "graph" else b"bert-large+cuml"}


def test_without_any_time_the_forest_answers_and_says_that_it_is_not_what_was_asked_for(
    ask_bls: Ask, url: str, right: Right
) -> None:
    answer = ask_bls(url, TEXTS, WEIGHTS, policy="deadline", deadline_ms=0)
    assert_near(answer["SCORE"], right.cuml)
    assert_near(answer["CUML_SCORE"], right.cuml)
    assert np.isnan(answer["BERT_SCORE"]).all()
    assert set(answer["ROUTE"]) == {b"cuml"}
    np.testing.assert_array_equal(answer["DEGRADED"], WEIGHTS > 0)


FRENCH = "Le chat est assis sur le tapis et il regarde la mer pendant que les enfants jouent au bord de la route."


def test_guard_flags_a_text_and_refuses_it_where_asked_and_not_its_neighbours(
    ask_bls: Ask, url: str, right: Right
) -> None:
    texts, weights = [FRENCH, *TEXTS, "Hi."], [0.5, *WEIGHTS.tolist(), 0.5]
    flags = [b"language:fr", *[b""] * len(TEXTS), b"short"]
    for settings, refused in (({}, []), ({"on_language": "refuse"}, [0]), ({"on_flag": "refuse"}, [0, -1])):
        answer = ask_bls(url, texts, weights, policy="guard", **settings)
        assert answer["FLAGS"].tolist() == flags
        assert np.flatnonzero(answer["DEGRADED"]).tolist() == [row % len(texts) for row in refused]
        np.testing.assert_array_equal(np.isnan(answer["SCORE"]), answer["DEGRADED"])
        np.testing.assert_array_equal(answer["ROUTE"] == b"refused", answer["DEGRADED"])
        assert_near(answer["SCORE"][1:-1], right.blend)


def test_a_policy_without_checks_says_so(ask_bls: Ask, url: str) -> None:
    assert ask_bls(url, [FRENCH], 0.5, ["FLAGS"])["FLAGS"].tolist() == [b"unchecked"]


@pytest.mark.parametrize("outputs", [["SCORE"], ["ROUTE"], ["DEGRADED", "SCORE"], ["CUML_SCORE", "BERT_SCORE"], ALL])
def test_only_the_outputs_that_are_asked_for_are_sent(ask_bls: Ask, url: str, outputs: list[str]) -> None:
    answer = ask_bls(url, TEXTS[:2], 0.5, outputs)
    assert set(answer) == set(outputs)
    assert all(len(tensor) == 2 for tensor in answer.values())


def test_the_configured_policy_is_the_one_for_requests_that_name_none(ask_bls: Ask, url: str, right: Right) -> None:
    answer = ask_bls(url, TEXTS, WEIGHTS)
    assert_near(answer["SCORE"], right.blend)
    assert set(answer["ROUTE"]) == {b"bert-large+cuml"}


REFUSED = {
    "unknown policy": (
        {"policy": "fastest"},
        f"no policy 'fastest'; there are {', '.join(policy_names())}",
    ),
    "no name": ({"policy": 3}, "no policy '3'"),
    "unknown parameter": (
        {"policy": "deadline", "tolerance": 5},
        "policy deadline takes no parameter 'tolerance'; it takes deadline_ms",
    ),
    "parameter of another policy": (
        {"deadline_ms": 1},
        "policy parallel takes no parameter 'deadline_ms'; it takes none",
    ),
    "not a number": (
        {"policy": "deadline", "deadline_ms": "much"},
        "deadline_ms is a number of at least 0, not 'much'",
    ),
    "truth": ({"policy": "deadline", "deadline_ms": True}, "deadline_ms is a number of at least 0, not True"),
    "negative": ({"policy": "deadline", "deadline_ms": -0.5}, "deadline_ms is a number of at least 0, not -0.5"),
    "not a choice": (
        {"policy": "fallback", "on_failure": "pray"},
        "on_failure is one of degrade, ensemble_all, not 'pray'",
    ),
}


@pytest.mark.parametrize(("parameters", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_there_is_not_is_refused_with_what_there_is(
    ask_bls: Ask, url: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        ask_bls(url, TEXTS[:1], **parameters)
    assert message in str(caught.value)
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


TERMS = [
    {"priority_level": 1},
    {"tenant": "a", "priority_level": 3},
    {"timeout_ms": 60_000.5},
    {"tenant": "", "timeout_ms": 9e9},
]


@pytest.mark.parametrize("terms", TERMS, ids=str)
def test_every_policy_takes_the_terms_of_a_request(ask_bls: Ask, url: str, right: Right, terms) -> None:
    for policy in ("parallel", "graph"):
        assert_near(ask_bls(url, TEXTS[:2], WEIGHTS[:2], policy=policy, **terms)["SCORE"], right.blend[:2])


def test_a_request_whose_time_is_up_fails_with_unavailable(ask_bls: Ask, url: str) -> None:
    with pytest.raises(InferenceServerException, match=r"no answer within 5 ms|no time left") as caught:
        ask_bls(url, TEXTS * 10, timeout_ms=5)
    assert caught.value.status() in ("503", "StatusCode.UNAVAILABLE")


def test_a_single_text_overtakes_a_client_of_many(ask_bls: Ask, server: TritonServer, right: Right) -> None:
    """By order, not by time: the single texts are answered while the long request still runs."""
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(ask_bls, server.grpc_url, TEXTS * 40, 1.0)
        answered = 0
        while not long.done():
            ask_bls(server.grpc_url, TEXTS[:1], 1.0)
            answered += not long.done()
        assert answered >= 2
        assert_near(long.result()["SCORE"], np.tile(right.bert, 40))


def test_what_a_client_that_leaves_has_asked_is_not_computed(server: TritonServer, ask_bls: Ask) -> None:
    url = server.grpc_url.partition("://")[2]
    excerpt = tritonclient.grpc.InferInput("excerpt", [512, 1], "BYTES")
    excerpt.set_data_from_numpy(np.array([[text.encode()] for text in (TEXTS * 52)[:512]], dtype=object))
    weight = tritonclient.grpc.InferInput("BERT_WEIGHT", [512, 1], "FP32")
    weight.set_data_from_numpy(np.ones((512, 1), np.float32))
    before = rows_computed(server)
    with (
        tritonclient.grpc.InferenceServerClient(url) as client,
        pytest.raises(InferenceServerException, match="Deadline Exceeded"),
    ):
        client.infer("bls_pipeline", [excerpt, weight], client_timeout=1.0)
    deadline = time.monotonic() + PATIENCE_S
    while "cancelled" not in outcomes(server):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ask_bls(server.grpc_url, TEXTS[:1])
    time.sleep(2.5)  # longer than `readability_triton.bls.metrics.EVERY_S`
    assert rows_computed(server) - before < 400


def rows_computed(server: TritonServer) -> float:
    return sum(
        float(each) for each in re.findall(r'^bls_stage_rows_total{stage="bert-large"} (\S+)$', scraped(server), re.M)
    )


def outcomes(server: TritonServer) -> set[str]:
    return set(re.findall(r'^bls_outcomes_total{outcome="(\w+)"}', scraped(server), re.M))


def scraped(server: TritonServer) -> str:
    with urllib.request.urlopen(server.metrics_url) as answer:
        return answer.read().decode()


def test_requests_for_different_policies_at_the_same_time_get_each_their_own(
    ask_bls: Ask, server: TritonServer, right: Right
) -> None:
    expected = [
        ({}, right.blend),
        ({"policy": "graph"}, right.blend),
        ({"policy": "fallback"}, right.blend),
        ({"policy": "deadline", "deadline_ms": LONG_MS}, right.blend),
        ({"policy": "deadline", "deadline_ms": 0}, right.cuml),
        ({"policy": "guard"}, right.blend),
        ({"policy": "no such"}, None),
    ]
    sent = [(row, *each) for row in range(0, len(TEXTS), 2) for each in expected]

    def score(row: int, parameters: dict[str, Any]) -> float | str:
        url = server.http_url if row % 4 else server.grpc_url
        try:
            return float(ask_bls(url, [TEXTS[row]], WEIGHTS[row], **parameters)["SCORE"][0])
        except InferenceServerException as error:
            return str(error)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda each: score(*each[:2]), sent))
    for (row, parameters, scores), answer in zip(sent, answers, strict=True):
        if scores is None:
            assert "no policy 'no such'" in answer
        else:
            assert answer == pytest.approx(scores[row], abs=TOLERANCE), parameters


def test_a_bad_row_is_refused_whatever_the_policy(ask_bls: Ask, url: str) -> None:
    for policy in POLICIES:
        with pytest.raises(InferenceServerException, match="row 1: text is empty") as caught:
            ask_bls(url, [TEXTS[0], ""], policy=policy)
        assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
