"""What is said about a made-up comparison, in the terminal, in JSON and in the HTML report."""

import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from readability_triton.compare.breakdown import Spent
from readability_triton.compare.conclusions import cautions, conclusions, found_different
from readability_triton.compare.load import Block, Sample
from readability_triton.compare.page import as_html
from readability_triton.compare.record import as_json
from readability_triton.compare.summary import summarise
from readability_triton.compare.tables import as_table
from readability_triton.compare.workload import Workload

ENVIRONMENT = {"client_machine": "a <machine>", "gpu": [], "server": {"name": "triton", "version": "1"}}
WORKLOAD = Workload([{"X": np.zeros(1)}], [218], "a test")


def test_a_slower_arm_is_said_to_be_slower_by_how_much(make_outcome):
    summary = summarise(make_outcome(), 1e-5)
    sentences = conclusions(summary)
    assert sentences[0].startswith("Both give the same answers to 1 requests")
    match = re.search(
        r"concurrency 1: other is slower than one, by ([\d.]+) ms at p50 \(([\d.]+) to ([\d.]+)\)", sentences[1]
    )
    by, low, high = map(float, match.groups())
    assert low < by < high
    assert low < 5.0 < high
    assert "times as many requests a second" in sentences[2]
    assert found_different(summary)


def test_a_faster_arm_is_said_to_be_faster(make_outcome):
    summary = summarise(make_outcome(means=(0.025, 0.020)), 1e-5)
    assert "other is faster than one" in conclusions(summary)[1]


def test_where_nothing_is_seen_it_says_how_large_what_was_not_seen_may_be(make_outcome):
    summary = summarise(make_outcome(means=(0.02, 0.02)), 1e-5)
    sentences = conclusions(summary)
    assert not found_different(summary)
    assert all("no difference" in each and "could be seen" in each for each in sentences[1:])
    assert re.search(r"larger than 0\.\d\d ms at p50", sentences[1])


def test_an_arm_that_is_fast_and_wrong_is_said_to_be_wrong_first(make_outcome):
    summary = summarise(make_outcome(answers=(1.0, 1.5)), 1e-5)
    assert conclusions(summary)[0].startswith("WRONG: one and other do not give the same answers")
    assert (
        json.loads(as_json(make_outcome(answers=(1.0, 1.5)), summary, WORKLOAD, {}))["summary"]["same_answers"] is False
    )


def test_what_weakens_the_figures_is_said(make_outcome):
    outcome = make_outcome(n_blocks=10, n_requests=10)
    outcome.incomplete = "stopped by the user"
    outcome.measured[0].steady = False
    samples = [Sample(0, 0.0, 0.0, 0.02), Sample(0, 0.0, 0.0, 0.02, "Busy: no"), *[Sample(0, 0.0, 0.01, 0.03)] * 3]
    for each in outcome.measured:
        each.blocks[1][0] = Block(samples, 7, 0.05, 10.0)
    sentences = "\n".join(cautions(summarise(outcome, 1e-5)))
    for part in (
        "Incomplete: stopped by the user",
        "concurrency 1: latencies had not settled after 3 s",
        "too few for its p99",
        "1 of 95 requests failed: Busy: no",
        "7 requests came due while too many were in flight",
        "the client sent 1 % of requests more than",
        "the client itself took",
    ):
        assert part in sentences


def test_requests_of_another_client_in_the_servers_statistics_are_named(make_outcome):
    outcome = make_outcome()
    assert "other clients" not in "\n".join(cautions(summarise(outcome, 1e-5)))
    for spent in outcome.measured[1].spent[0]:
        spent["one"] = Spent(41, 41, 0.1, 0.2, 0.3, 0.4)
    (sentences,) = [each for each in cautions(summarise(outcome, 1e-5)) if "other clients" in each]
    assert sentences.startswith("closed loop, concurrency 8, one: the server counted 492 requests where 240 were sent")


def test_a_block_without_an_answer_is_left_out_of_figures_but_its_errors_are_reported(make_outcome):
    outcome = make_outcome()
    failed = Block([Sample(0, 0.0, 0.0, 0.02, "Busy: no")] * 5, 0, 0.1, 0.0)
    for each in outcome.measured:
        each.blocks[1][3] = failed
    summary = summarise(outcome, 1e-5)
    assert [load.blocks for load in summary.loads] == [11, 11, 11]
    assert "5 of 225 requests failed: Busy: no" in "\n".join(cautions(summary))
    assert as_html(outcome, summary, [], ENVIRONMENT)


def test_too_few_blocks_are_left_out(make_outcome):
    summary = summarise(make_outcome(n_blocks=2), 1e-5)
    assert not summary.loads
    assert "Nothing was measured for long enough" in cautions(summary)[0]
    assert as_table(summary, [])
    assert as_html(make_outcome(n_blocks=2), summary, [], ENVIRONMENT)


def test_the_table_fits_eighty_columns_and_holds_every_figure(make_outcome):
    summary = summarise(make_outcome(), 1e-5)
    out = io.StringIO()
    Console(file=out, width=80).print(as_table(summary, ["a machine"]))
    shown = out.getvalue()
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    for part in ("A: one", "B: other", "p50 ms", "p95 ms", "requests/s", "queue", "infer", "a machine"):
        assert part in shown


def test_json_holds_every_sample_and_the_environment(make_outcome):
    outcome = make_outcome()
    record = json.loads(as_json(outcome, summarise(outcome, 1e-5), WORKLOAD, ENVIRONMENT))
    assert record["environment"] == ENVIRONMENT
    assert record["workload"]["tokens"] == [218]
    assert [arm["label"] for arm in record["arms"]] == ["one", "other"]
    assert np.shape([[len(block["samples"]) for block in arm] for load in record["samples"] for arm in load]) == (6, 12)
    request, due, sent, done, error = record["samples"][0][0][0]["samples"][0]
    assert (request, due, sent, error) == (0, 0.0, 0.001, None)
    assert done == pytest.approx(outcome.measured[0].blocks[0][0].samples[0].done, abs=1e-6)


def test_json_is_json_also_where_answers_differ_without_bound(make_outcome):
    outcome = make_outcome()
    outcome.answers[1].first[0] = {"SCORE": np.zeros((2, 1))}
    text = as_json(outcome, summarise(outcome, 1e-5), WORKLOAD, {})
    assert json.loads(text, parse_constant=pytest.fail)["summary"]["agreement"]["largest"] == "infinite"


class Page(HTMLParser):
    """Tags, what is linked to, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_file_with_every_chart_and_nothing_from_elsewhere(make_outcome):
    outcome = make_outcome(labels=("one?a=<b>&c=1", "other"))
    html = as_html(outcome, summarise(outcome, 1e-5), ["a <machine>"], ENVIRONMENT)
    page = Page(html)
    assert page.tags.count("svg") == 3 * 3 + 1
    assert "script" not in page.tags
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "<b>" not in html
    assert "one?a=<b>&c=1" in page.text
    for sentence in conclusions(summarise(outcome, 1e-5)):
        assert sentence in page.text
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ET.fromstring(svg)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
