"""What the page's server answers, over a stand-in for the pipelines."""

import asyncio
import http.client
import json
import math
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from starlette.types import Message

from readability_triton.client.errors import InferenceError, InvalidRequestError, ModelUnavailableError
from readability_triton.client.passages import cut
from readability_triton.page import server
from readability_triton.page.app import LARGEST_FILE, LARGEST_REQUEST, LEFT, MOST_WAITING, make_app
from readability_triton.page.asked import LONGEST_TEXT
from readability_triton.page.pipelines import BLS, ENSEMBLE, PIPELINES
from readability_triton.page.scoring import MOST_SENTENCES
from readability_triton.page.server import listen, serving
from readability_triton.stages.sentences import sentence_spans
from tests.page.asking import get, post
from tests.page.stand_in import FITTED, LATENCY_MS, score_of

TEXT = "A cat sat on a mat. Considerable extraordinary circumstances notwithstanding, it was not amused."
LONG = " ".join(f"Sentence {number} is here." for number in range(200))


def test_setup_offers_what_there_is(address):
    setup = get(address, "api/setup").json
    assert setup["pipelines"] == list(PIPELINES)
    assert next(sample["text"] for sample in setup["samples"]) == "A cat sat."
    assert {".txt", ".docx", ".pdf", ".epub"} <= set(setup["endings"])


def test_both_pipelines_answer_in_full(address, pipelines):
    answer = post(address, "api/score", {"text": TEXT}).json
    assert sorted(answer["order"]) == sorted(PIPELINES) == sorted(answer["pipelines"])
    for scored in answer["pipelines"].values():
        assert scored["score"] == pytest.approx(score_of(TEXT))
        assert (scored["low"], scored["high"]) == pytest.approx((score_of(TEXT) - 1, score_of(TEXT) + 1))
        assert scored["percentile"] == pytest.approx(100 * (scored["score"] + 4) / 10, abs=40)
        assert scored["level"]
        assert (scored["weight"], scored["fitted_weight"]) == (FITTED, FITTED)


def test_each_answer_has_the_waterfall_of_its_own_request(address):
    for name, scored in post(address, "api/score", {"text": TEXT}).json["pipelines"].items():
        chart = scored["chart"]
        assert chart["total_ms"] == LATENCY_MS
        assert [row["label"] for row in chart["rows"]] == ["client", name, "bert-large"]
        assert scored["source"] == "a stand-in"
        assert any("bert-large" in sentence for sentence in chart["sentences"])


def test_policy_settings_and_weight_go_to_the_pipelines(address, pipelines):
    asked = {"text": TEXT, "weight": 0.25, "policy": "deadline", "settings": {"deadline_ms": 5}}
    post(address, "api/score", asked)
    seen = {name: (texts, weight, parameters) for name, texts, weight, parameters in pipelines.asked}
    assert seen[BLS] == ([TEXT], 0.25, {"policy": "deadline", "deadline_ms": 5})
    assert seen[ENSEMBLE] == ([TEXT], 0.25, {})


def test_an_answer_by_another_weight_has_no_interval(address):
    for scored in post(address, "api/score", {"text": TEXT, "weight": 0.5}).json["pipelines"].values():
        assert (scored["low"], scored["high"]) == (None, None)


def test_a_long_text_is_scored_by_passage(address, pipelines):
    answer = post(address, "api/score", {"text": LONG}).json
    passages = cut(LONG)
    assert len(passages) > 1
    assert [(each["start"], each["end"]) for each in answer["passages"]] == [
        (each.start, each.end) for each in passages
    ]
    assert pipelines.asked[0][1] == [each.text for each in passages]
    for scored in answer["pipelines"].values():
        assert [each["score"] for each in scored["passages"]] == pytest.approx(
            [score_of(each.text) for each in passages]
        )


def test_sentences_have_a_score_each(address):
    answer = post(address, "api/sentences", {"text": TEXT}).json
    assert [(each["start"], each["end"]) for each in answer["sentences"]] == list(sentence_spans(TEXT))
    for each in answer["sentences"]:
        assert each["score"] == pytest.approx(score_of(TEXT[each["start"] : each["end"]]))
    assert answer["answered_by"] == [BLS]


@pytest.mark.parametrize("text", ["…", "\N{GRINNING FACE}", "_ _", "\ufeff"])
def test_a_text_without_a_letter_is_a_sentence(address, text):
    assert len(post(address, "api/sentences", {"text": text}).json["sentences"]) == 1


def test_more_sentences_than_the_bound_are_refused(address):
    most = "a\n\n" * MOST_SENTENCES
    assert len(post(address, "api/sentences", {"text": most}).json["sentences"]) == MOST_SENTENCES
    answer = post(address, "api/sentences", {"text": f"{most}b"})
    assert answer.status == 400
    assert "2,001 sentences" in answer.error
    assert "2,000 at most" in answer.error


def test_sentences_of_a_browser_that_left_are_scored_no_further(address, pipelines):
    pipelines.may_end.clear()
    body = json.dumps({"text": TEXT}).encode()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    with closing(connection):
        connection.request("POST", "/api/sentences", body, {"Origin": address.rstrip("/")})
        assert pipelines.scores_sentences.wait(60)
    assert post(address, "api/score", {"text": TEXT}).status == 200  # it has the turn
    assert pipelines.stopped.is_set()


def test_sentences_are_scored_no_further_once_the_page_stops(pipelines, monkeypatch):
    monkeypatch.setattr(server, "STOP_S", 0)
    pipelines.may_end.clear()
    with closing(listen("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        with serving(make_app(pipelines, {}), listening) as address:
            asked = pool.submit(post, address, "api/sentences", {"text": TEXT})
            assert pipelines.scores_sentences.wait(60)
        asked.exception(60)
    assert pipelines.stopped.wait(60)


def test_a_browser_that_leaves_while_it_sends_is_no_failure(pipelines):
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"content-length", b"9")]
    scope = {"type": "http", "method": "POST", "scheme": "http", "path": "/api/text", "query_string": b""}
    asyncio.run(make_app(pipelines, {})({**scope, "headers": headers}, receive, send))
    assert sent[0]["status"] == LEFT


def test_flags_and_degraded_answers_are_reported(address, pipelines):
    pipelines.flags, pipelines.degraded = ("short",), True
    scored = post(address, "api/score", {"text": TEXT}).json["pipelines"][BLS]
    assert (scored["flags"], scored["degraded"]) == (["short"], 1)


def test_a_refused_text_has_no_score_and_says_so(address, pipelines):
    pipelines.flags, pipelines.refuses = ("not-prose",), True
    scored = post(address, "api/score", {"text": TEXT}).json["pipelines"][BLS]
    assert (scored["score"], scored["band"], scored["refused"]) == (None, None, True)


@pytest.mark.parametrize("name", PIPELINES)
def test_one_pipeline_fails_and_the_other_still_answers(address, pipelines, name):
    pipelines.errors[name] = InferenceError("out of memory")
    answers = post(address, "api/score", {"text": TEXT}).json["pipelines"]
    assert answers.pop(name) == {"error": {"kind": "InferenceError", "message": "out of memory", "request_id": ""}}
    [other] = answers.values()
    assert other["score"] == pytest.approx(score_of(TEXT))


def test_a_text_that_both_refuse_is_a_bad_request(address):
    answer = post(address, "api/score", {"text": "forbidden"})
    assert (answer.status, "forbidden" in answer.error) == (400, True)


def test_a_dead_server_is_reported_by_both(address, pipelines):
    pipelines.die()
    state = get(address, "api/state").json
    assert state["error"]["kind"] == "ServerUnreachableError"
    answer = post(address, "api/score", {"text": TEXT})
    assert {each["error"]["kind"] for each in answer.json["pipelines"].values()} == {"ServerUnreachableError"}
    assert post(address, "api/sentences", {"text": TEXT}).status == 503


def test_the_state_says_what_the_server_is(address, pipelines):
    state = get(address, "api/state").json
    assert (state["url"], state["fitted_weight"], "error" in state) == (pipelines.url, FITTED, False)


def test_a_model_that_is_not_ready_is_unavailable(address, pipelines):
    pipelines.errors[BLS] = ModelUnavailableError("bls_pipeline is not ready")
    assert post(address, "api/sentences", {"text": TEXT}).status == 503


@pytest.mark.parametrize("text", ["", " \n", None, 5, "a" * (LONGEST_TEXT + 1), "\ud800"])
@pytest.mark.parametrize("path", ["api/score", "api/sentences"])
def test_a_text_that_cannot_be_scored_is_refused(address, pipelines, path, text):
    answer = post(address, path, {"text": text})
    assert answer.status == 400
    assert "text" in answer.error
    assert not pipelines.asked


def test_the_text_of_a_file_is_read_by_its_ending(address):
    text = "The café was full of people who had come to see the exposé of the old chateau and its naïve owner."
    assert post(address, "api/text?name=a.txt", text.encode("cp1252")).json == {"text": text}
    html = b"<html><body><p>One.</p><script>no()</script></body></html>"
    assert post(address, "api/text?name=a.html", html).json["text"].strip() == "One."


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.docx", b"not a zip", "a.docx cannot be read as DOCX"),
        ("a.txt", b"   \n", "a.txt is empty"),
        ("a.txt", b"", "a.txt is empty"),
        ("a.txt", bytes(range(256)) * 8, "a.txt"),
        ("a.txt", b"a" * (LONGEST_TEXT + 1), "readability score FILE"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(address, name, content, why):
    answer = post(address, f"api/text?name={name}", content)
    assert (answer.status, why in answer.error) == (400, True), answer.error


@pytest.mark.parametrize(("path", "most"), [("api/text?name=a.txt", LARGEST_FILE), ("api/score", LARGEST_REQUEST)])
def test_a_body_is_bounded(address, pipelines, path, most):
    answer = post(address, path, b"a" * (most + 1))
    assert (answer.status, f"{most >> 20} MiB" in answer.error) == (413, True)
    assert not pipelines.asked


def test_a_text_of_the_greatest_length_fits(address):
    assert post(address, "api/score", {"text": "\N{GRINNING FACE}" * (LONGEST_TEXT - 4) + " cat"}).status == 200


def test_requests_take_turns_and_are_bounded(address, pipelines):
    pipelines.may_answer.clear()
    with ThreadPoolExecutor(MOST_WAITING + 2) as pool:
        calls = [pool.submit(post, address, "api/score", {"text": TEXT}) for _ in range(MOST_WAITING + 2)]
        refused = next(as_completed(calls)).result()
        assert (refused.status, "try again" in refused.error) == (503, True)
        assert len(pipelines.asked) == 1  # the others wait
        pipelines.may_answer.set()
        assert sorted(call.result().status for call in calls) == [200] * (MOST_WAITING + 1) + [503]
    assert [name for name, *_ in pipelines.asked[::2]] != [name for name, *_ in pipelines.asked[1::2]]


def test_no_number_that_json_lacks_is_sent(address, pipelines):
    pipelines.flags, pipelines.refuses = ("short",), True
    for path in ("api/score", "api/sentences"):
        assert b"NaN" not in post(address, path, {"text": TEXT}).body
    assert math.isnan(pipelines._scores(BLS, [TEXT], None).values[0])


def test_a_bad_row_is_a_bad_request_of_its_pipeline_only(address, pipelines):
    pipelines.errors[ENSEMBLE] = InvalidRequestError("text is odd", 0)
    answers = post(address, "api/score", {"text": TEXT}).json["pipelines"]
    assert answers[ENSEMBLE]["error"]["message"] == "row 0: text is odd"
    assert answers[BLS]["score"] is not None
