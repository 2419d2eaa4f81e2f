"""The page over a real Triton, in a browser, and `readability page` as a person runs it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra: pip install 'readability-triton[page]'")

from readability_triton.cli.samples import sample_passages
from readability_triton.client.access import Access
from readability_triton.client.errors import InvalidRequestError
from readability_triton.explain.one_request import OWN_SPANS, STATISTICS, TRACES
from readability_triton.page.app import make_app
from readability_triton.page.asked import Asked
from readability_triton.page.pipelines import BLS, ENSEMBLE, PIPELINES, TritonPipelines
from readability_triton.page.scoring import score, score_sentences
from readability_triton.page.server import listen, serving
from readability_triton.serving.control import GRPC_KEY_NAME
from readability_triton.serving.server import Options, TritonServer, running
from tests.page.asking import get, post
from tests.page.browser import Tab, chromium, tab  # noqa: F401 - fixtures

TEXT = sample_passages()["06-magazine-article"]
READY = "document.querySelector('.state.ready')"
SCORED = "document.querySelectorAll('.sentence').length && document.querySelectorAll('.waterfall').length === 2"
SELDOM = 1_000_000_000


def traced(folder: Path, grpc_port: int = 0) -> Options:
    return Options(trace_file=folder / "traces.json", trace_rate=SELDOM, grpc_port=grpc_port)


def pipelines_of(server: TritonServer) -> TritonPipelines:
    pipelines = TritonPipelines(server.grpc_url, 60.0, removes_traces=True)
    pipelines.trace_access = Access(headers={GRPC_KEY_NAME: server.control.key})
    return pipelines


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with running(traced(tmp_path_factory.mktemp("traces"))) as server:
        yield server


@pytest.fixture(scope="module")
def pipelines(own_server: TritonServer) -> TritonPipelines:
    return pipelines_of(own_server)


@contextmanager
def page_of(pipelines: TritonPipelines) -> Iterator[str]:
    with (
        closing(listen("127.0.0.1", 0)) as listening,
        serving(make_app(pipelines, sample_passages()), listening) as address,
    ):
        yield address


@pytest.fixture
def page(tab: Tab, pipelines: TritonPipelines) -> Iterator[Tab]:  # noqa: F811
    with page_of(pipelines) as address:
        tab.open(address)
        tab.wait_for(READY)
        yield tab


@pytest.mark.parametrize("weight", [None, 0.3])
def test_scores_are_those_computed_in_process(pipelines, truth, weight):
    given = score(pipelines, Asked(TEXT, weight))["pipelines"]
    expected = truth.score([TEXT], np.float32([[given[BLS]["weight"]]])).item()
    for name in PIPELINES:
        assert given[name]["score"] == pytest.approx(expected, abs=1e-5)
        assert (given[name]["low"] is None) == (weight is not None)


def test_each_waterfall_is_of_the_request_that_was_answered(pipelines):
    given = score(pipelines, Asked(TEXT))["pipelines"]
    assert (given[ENSEMBLE]["source"], given[BLS]["source"]) == (TRACES, OWN_SPANS)
    for name in PIPELINES:
        chart = given[name]["chart"]
        labels = [row["label"] for row in chart["rows"]]
        assert labels[:2] == ["client", name]
        assert {"preprocess", "bert-large", "cuml"} <= set(labels)
        bars = [bar for row in chart["rows"] for bar in row["bars"]]
        # Triton closes a step after its outputs are out, so that a bar may end after the answer.
        assert all(0 <= bar["start_ms"] <= min(bar["end_ms"], chart["total_ms"]) for bar in bars)


def test_triton_traces_nothing_between_the_pages_requests(pipelines, own_server):
    score(pipelines, Asked(TEXT))
    with pipelines._explainer() as explainer:
        assert explainer.server.trace_settings(ENSEMBLE)["trace_rate"] == [str(SELDOM)]


def test_a_server_that_does_not_trace_is_explained_by_its_statistics(server):
    given = score(TritonPipelines(server.grpc_url, 60.0), Asked(TEXT))["pipelines"]
    assert (given[ENSEMBLE]["source"], given[BLS]["source"]) == (STATISTICS, OWN_SPANS)


def test_policies_and_their_errors_arrive(pipelines):
    guarded = score(pipelines, Asked("Guten Tag, wie geht es Ihnen heute? " * 5, policy="guard"))["pipelines"][BLS]
    assert any(flag.startswith("language") for flag in guarded["flags"])
    refused = score(
        pipelines, Asked("Guten Tag, wie geht es Ihnen? " * 5, policy="guard", settings={"on_flag": "refuse"})
    )
    assert refused["pipelines"][BLS]["refused"]
    assert refused["pipelines"][ENSEMBLE]["score"] is not None
    unknown = score(pipelines, Asked(TEXT, policy="parallel", settings={"deadline_ms": 5}))["pipelines"]
    assert "takes no parameter 'deadline_ms'" in unknown[BLS]["error"]["message"]
    assert "error" not in unknown[ENSEMBLE]


def test_sentences_are_scored_as_texts_of_their_own(pipelines, truth):
    fitted = pipelines.served_model(BLS).bert_weight
    for each in score_sentences(pipelines, Asked(TEXT))["sentences"][:3]:
        expected = truth.score([TEXT[each["start"] : each["end"]]], np.float32([[fitted]])).item()
        assert each["score"] == pytest.approx(expected, abs=1e-5)


def test_what_the_models_refuse_is_a_bad_request(pipelines):
    with pytest.raises(InvalidRequestError):
        score(pipelines, Asked(" \n\t"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_text_that_is_typed_is_scored_both_ways(page: Tab, width, scheme):
    page.show_as(width, 844, scheme)
    page.value("document.querySelector('#text').focus()")
    page.type(TEXT)
    page.press("Control", "Enter")
    page.wait_for(SCORED)
    assert "Both pipelines give the same score." in page.text("#agreement")
    assert page.text(".answer:nth-child(1) .under-scale").startswith("harder 90 % interval")
    assert "bert-large" in page.text(".waterfall:nth-child(1)")
    assert "Triton's traces" in page.text(".waterfall:nth-child(1)")
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.querySelectorAll('[style], style').length") == 0


def test_a_file_that_is_dropped_is_scored(page: Tab, tmp_path):
    file = tmp_path / "article.txt"
    file.write_text("\n\n".join([*sample_passages().values()][:4]))
    page.drop([file])
    page.wait_for(SCORED)
    assert page.value("document.querySelectorAll('.passage').length") > 1
    assert "hardest" in page.text("#reading")


def test_a_policy_that_refuses_a_text_says_so(page: Tab):
    page.choose("#policy", "guard")
    page.choose("#setting-on_flag", "refuse")
    page.value("document.querySelector('#text').focus()")
    page.type("Der Hund schläft unter dem Tisch, und die Katze sitzt am Fenster. " * 3)
    page.click("#score")
    page.wait_for("document.querySelector('.answer:nth-child(2) .warning')")
    assert "Refused because of its flags" in page.text(".answer:nth-child(2)")


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """A running `readability page` and the address that it prints."""
    started = [sys.executable, "-m", "readability_triton.cli.main", "page", "--port", "0", *arguments]
    process = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_the_command_shows_a_page_of_a_server_that_runs(server):
    with command("--url", server.grpc_url) as (process, address):
        assert get(address, "api/state").json["url"] == server.grpc_url
        answers = post(address, "api/score", {"text": TEXT}).json["pipelines"]
        assert answers[BLS]["score"] == pytest.approx(answers[ENSEMBLE]["score"], abs=1e-5)
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=60)
    assert process.returncode == 0
    assert TEXT[:20] not in logged


def test_the_command_starts_a_server_that_traces_and_stops_it():
    with command() as (process, address):
        assert "error" in get(address, "api/state").json  # the page is there before Triton
        ready = next(line for line in process.stderr if "The page is ready" in line)
        assert ready
        threading.Thread(target=process.stderr.read).start()
        answers = post(address, "api/score", {"text": TEXT}).json["pipelines"]
        assert answers[ENSEMBLE]["source"] == TRACES
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_server_that_dies_is_reported_and_the_page_goes_on_when_it_is_back(tab: Tab, tmp_path):  # noqa: F811
    with running(traced(tmp_path)) as server:
        pipelines, port = pipelines_of(server), server.grpc_port
        with page_of(pipelines) as address:
            tab.open(address)
            tab.wait_for(READY)
            server.process.kill()
            server.process.wait()
            tab.choose("#sample", "0")
            tab.wait_for("document.querySelector('#alert .banner')")
            assert tab.text("#state") == "Triton does not answer"
            with running(traced(tmp_path / "again", port)) as again:
                pipelines.trace_access = Access(headers={GRPC_KEY_NAME: again.control.key})
                tab.wait_for(SCORED)
                assert "Triton's traces" in tab.text(".waterfall:nth-child(1)")
            tab.open("about:blank")
