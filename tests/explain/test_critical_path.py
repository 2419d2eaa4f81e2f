"""The critical path of spans whose truth is known."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.explain.critical_path import waterfall_of
from readability_triton.explain.waterfall import HOP, Span
from tests.explain.scheduler import Graph, of_bls, of_traces

CLIENT = Span("client", "client", 0, 100, None)
REQUEST = Span("model", "request", 2, 98, 0)


def names(waterfall):
    return [segment.name for segment in waterfall.path]


def test_the_path_goes_back_through_the_call_that_was_ready_last():
    spans = [
        CLIENT,
        REQUEST,
        Span("a", "call", 3, 20, 1, ()),
        Span("slow", "call", 21, 90, 1, (2,)),
        Span("fast", "call", 21, 30, 1, (2,)),
        Span("end", "call", 91, 97, 1, (3, 4)),
    ]
    waterfall = waterfall_of("model", spans)
    assert names(waterfall) == [
        "client → model", "model → a", "a", "a → slow", "slow", "slow → end", "end", "end → model", "model → client",
    ]  # fmt: skip
    (wait,) = waterfall.waits
    assert (wait.call, wait.waited_for, wait.slack_ms) == (5, 3, {4: 60})
    assert waterfall.slack_ms[4] == 60
    assert all(waterfall.slack_ms[at] == 0 for at in (2, 3, 5))


def test_outputs_that_are_passed_on_before_a_call_is_closed_are_no_negative_hop():
    spans = [
        CLIENT,
        REQUEST,
        Span("a", "call", 2, 60, 1, ()),
        Span("compute", "compute", 2, 40, 2),
        Span("output", "output", 40, 60, 2),
        Span("b", "call", 45, 98, 1, (2,)),
    ]
    waterfall = waterfall_of("model", spans)
    assert [(each.name, each.kind, each.start_ms, each.end_ms) for each in waterfall.path[1:-1]] == [
        ("a", "compute", 2, 40), ("a", "output", 40, 45), ("b", "compute", 45, 98),
    ]  # fmt: skip


def test_calls_within_a_call_are_on_the_path_in_its_place_and_what_is_left_is_its_own_queue_and_hops():
    spans = [
        CLIENT,
        REQUEST,
        Span("queue", "queue", 2, 10, 1),
        Span("compute", "compute", 10, 98, 1),
        Span("inner", "call", 20, 80, 1),
    ]
    waterfall = waterfall_of("bls", spans)
    assert names(waterfall) == ["client → model", "model", "model → inner", "inner", "inner → model", "model → client"]
    assert [segment.kind for segment in waterfall.path] == [HOP, "queue", HOP, "compute", HOP, HOP]


def test_without_spans_of_the_server_the_whole_time_is_the_clients():
    waterfall = waterfall_of("model", [CLIENT])
    assert waterfall.shares() == {"client": 1.0}


@pytest.mark.parametrize("spans", [[], [REQUEST], [CLIENT, Span("x", "call", 0, 1, 5)], [CLIENT, CLIENT]])
def test_spans_that_are_no_tree_are_refused(spans):
    with pytest.raises(ValueError, match="parent"):
        waterfall_of("model", spans)


@given(st.integers(0, 10_000), st.booleans())
def test_the_path_covers_the_whole_time_without_gap_or_overlap(seed, as_bls):
    rng = random.Random(seed)
    graph = Graph.drawn(rng)
    waterfall = (of_bls if as_bls else of_traces)(graph.run(rng), graph.dag(), 0)
    assert waterfall.path[0].start_ms == 0
    assert waterfall.path[-1].end_ms == waterfall.total_ms
    for one, following in zip(waterfall.path, waterfall.path[1:], strict=False):
        assert one.end_ms == following.start_ms
        assert one.duration_ms > 0
    assert sum(waterfall.shares().values()) == pytest.approx(1)
    assert all(slack >= -1e-9 for slack in waterfall.slack_ms.values())


@given(st.integers(0, 10_000))
def test_steps_on_the_path_have_no_slack(seed):
    rng = random.Random(seed)
    graph = Graph.drawn(rng)
    waterfall = of_traces(graph.run(rng), graph.dag(), 0)
    on_path = {segment.span for segment in waterfall.path if segment.span is not None}
    assert all(waterfall.slack_ms[at] == pytest.approx(0, abs=1e-6) for at in on_path)


def test_an_ensembles_path_follows_its_graph_even_where_times_would_allow_another():
    # s1 ended just before s2 began, but s2 reads only s0.
    spans = [
        CLIENT,
        REQUEST,
        Span("s0", "call", 2, 10, 1, ()),
        Span("s1", "call", 2, 40, 1, ()),
        Span("s2", "call", 41, 98, 1, (2,)),
    ]
    assert "s1" not in waterfall_of("model", spans).shares()
    guessed = [*spans[:4], Span("s2", "call", 41, 98, 1)]
    assert "s1" in waterfall_of("model", guessed).shares()
