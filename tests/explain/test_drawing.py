"""Drawings: what they show, and that they can be read by machines and by people who cannot see."""

import io
import json
import random
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from readability_triton.explain import record, tables
from readability_triton.explain.chart import chart_of
from readability_triton.explain.critical_path import waterfall_of
from readability_triton.explain.drawing import MARGIN, WIDTH, as_svg, nice_step, side_by_side
from readability_triton.explain.profile import slower
from readability_triton.explain.waterfall import Span
from tests.explain.scheduler import Graph, explained, of_bls, of_traces

SVG = "{http://www.w3.org/2000/svg}"
DIAMOND = Graph(((), (0,), (0,), (1, 2)), (5.0, 50.0, 5.0, 5.0))


@pytest.fixture
def waterfall():
    return of_traces(DIAMOND.run(random.Random(1)), DIAMOND.dag(), 0)


@pytest.fixture
def profile():
    return explained(DIAMOND, 40, 1, as_bls=False)


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def printed(renderable):
    out = io.StringIO()
    Console(file=out, width=160).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("of_many", [False, True])
def test_the_picture_has_a_row_for_each_model_and_says_in_words_what_it_shows(waterfall, profile, of_many):
    svg = as_svg(profile.chart() if of_many else waterfall)
    root = ET.fromstring(svg)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text.startswith("graph: ")
    assert "Critical path" in description.text
    assert "s3 waited for s1; s2 was ready" in description.text
    assert {"client", "graph", "s0", "s1", "s2", "s3"} <= set(texts(svg))
    assert "prefers-color-scheme:dark" in svg
    assert len(svg) < 15_000


def test_bars_lie_within_the_picture(waterfall):
    for rect in ET.fromstring(as_svg(waterfall)).iter(f"{SVG}rect"):
        assert float(rect.get("x")) >= -MARGIN
        assert float(rect.get("x")) + float(rect.get("width")) <= WIDTH + MARGIN


def test_two_are_drawn_beside_one_another_on_one_scale(waterfall):
    longer = waterfall_of("other", [Span("client", "client", 0, 4 * waterfall.total_ms, None)])
    rects = ET.fromstring(side_by_side([waterfall, longer])).iter(f"{SVG}rect")
    one, other = (float(rect.get("width")) for rect in rects if rect.get("class") == "wf-client")
    assert other == pytest.approx(4 * one, rel=0.01)
    assert as_svg(waterfall) != as_svg(longer)


def test_names_cannot_write_markup():
    spans = [Span("client", "client", 0, 5, None), Span("<script>", "request", 1, 4, 0)]
    svg = as_svg(waterfall_of("<script>", spans))
    assert "<script" not in svg
    ET.fromstring(svg)


def test_calls_of_one_model_share_a_row():
    spans = [Span("client", "client", 0, 50, None), Span("bls", "request", 1, 49, 0)]
    spans += [Span("m", "call", 5.0 * at, 5.0 * at + 10, 1) for at in range(1, 7)]
    (row,) = (row for row in chart_of(waterfall_of("bls", spans)).rows if row.label.startswith("m"))
    assert row.label == "m ×6"
    assert row.busy_ms == 35  # from 5 to 40, though the calls sum up to 60


@given(st.floats(1e-3, 1e7))
def test_an_axis_has_a_few_ticks_at_round_numbers(longest):
    step = nice_step(longest)
    assert 2 <= longest / step <= 5.001
    assert f"{step:e}"[0] in "125"


@given(st.integers(0, 2000), st.booleans())
def test_any_graph_can_be_drawn_printed_and_recorded(seed, as_bls):
    rng = random.Random(seed)
    graph = Graph.drawn(rng)
    waterfall = (of_bls if as_bls else of_traces)(graph.run(rng), graph.dag(), 0)
    ET.fromstring(as_svg(waterfall))
    assert "graph" in printed(tables.as_table(waterfall))
    assert json.loads(record.as_json([waterfall]))[0]["total_ms"] == waterfall.total_ms


def test_the_table_names_each_model_its_share_and_what_failed(profile):
    collector_errors = {"it failed": 2}
    table = printed(tables.as_table(profile)) + printed(tables.as_table(profile.typical))
    assert all(name in table for name in ("s0", "s1", "s2", "s3", "p50", "p90", "Longest hops", "a simulation"))
    assert "2 requests failed: it failed" in printed(
        tables.as_table(type(profile)(**(vars(profile) | {"errors": collector_errors})))
    )


def test_tables_of_differences_and_blame(profile):
    after = explained(DIAMOND.delayed(1, 30), 40, 2, as_bls=False)
    assert "s1" in printed(tables.differences(profile, after))
    blamed = printed(tables.blamed(slower(profile.means(), after.means()), "before.json"))
    assert "s1" in blamed.split()
    assert "s2" not in blamed.split()
    assert "No model delays the answer" in printed(tables.blamed({"s1": 0.0}, "before.json"))


def test_what_is_written_can_be_compared_with_later(profile):
    text = record.as_json([profile, profile.typical])
    means = record.read_means(text, "graph", "before.json")
    assert means.keys() - {"client"} == profile.means().keys()
    assert means["s1"] == pytest.approx(profile.means()["s1"])


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "not what --json writes"), ("[1]", "not what"), ("[]", "has no profile of m"), ("3", "not what"),
     ('[{"model": "m", "models": [{}]}]', "not what")],
)  # fmt: skip
def test_an_earlier_profile_that_is_none_is_an_error_that_names_the_file(text, why):
    with pytest.raises(ValueError, match=rf"before\.json .*{why}"):
        record.read_means(text, "m", "before.json")
