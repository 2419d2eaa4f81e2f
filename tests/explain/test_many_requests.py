"""A load of requests, summed up in bounded memory, against a server that is not there."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from readability_triton.client.errors import InferenceError
from readability_triton.explain import collector
from readability_triton.explain.clock import Sent
from readability_triton.explain.collector import Collector
from readability_triton.explain.many_requests import ROUND, STOPPED, Load, explain_many
from readability_triton.explain.one_request import STATISTICS, Answered, Model
from readability_triton.explain.triton_traces import TraceError, read_traces
from tests.explain.scheduler import NS, Graph, explained, of_traces
from tests.explain.test_sources import fragments

INPUTS = {"X": np.zeros((1, 1), np.float32)}


class FakeTracing:
    """Has a trace of every request but of those whose number is in `lost`."""

    def __init__(self, lost=()):
        self.lost, self.flushed, self.taken = set(lost), 0, 0

    def flush(self):
        self.flushed += 1

    def take(self, request_id):
        self.taken += 1
        return None if int(request_id) in self.lost else read_traces(fragments(request_id), "fake")[0]

    def wait_for(self, request_id):
        if (trace := self.take(request_id)) is None:
            raise TraceError("no trace")
        return trace


@dataclass
class FakeExplainer:
    tracing: FakeTracing | None
    fails: int = 0
    stops_at: int | None = None
    sent: int = 0
    server: "FakeExplainer" = field(init=False)

    def __post_init__(self):
        self.server = self
        self.known = Model("m", {}, ("Y",), False, self.tracing, "" if self.tracing else "no file")

    def model(self, _name):
        return self.known

    def statistics(self):
        return []

    def counted(self, *_):
        return {}

    def send(self, _model, _inputs, _parameters, _outputs):
        self.sent += 1
        if self.sent == self.stops_at:
            raise KeyboardInterrupt
        if self.sent <= self.fails:
            raise InferenceError("it failed")
        return Answered(str(self.sent), Sent(0, 70 * NS), {"Y": INPUTS["X"]})


def load(count, **options):
    return Load("m", [INPUTS], count, warm_up=0, **options)


def test_every_request_is_explained_and_progress_counts_each():
    seen = []
    found = explain_many(FakeExplainer(tracing := FakeTracing()), load(2 * ROUND + 5), seen.append)
    assert found.answered == found.explained == sum(seen) == 2 * ROUND + 5
    assert tracing.flushed == 3
    assert found.total_ms == {50: 70, 90: 70, 99: 70}


def test_traces_that_are_lost_are_counted_and_waited_for_once():
    found = explain_many(FakeExplainer(FakeTracing(lost=[3, 7])), load(10))
    assert (found.answered, found.explained) == (10, 8)
    assert found.notes == ("2 of 10 requests have no trace: no trace.",)


@pytest.mark.parametrize("tracing", [None, FakeTracing(lost=range(1000))], ids=["none", "all lost"])
def test_without_traces_the_load_is_explained_by_statistics(tracing):
    found = explain_many(FakeExplainer(tracing), load(10))
    assert (found.answered, found.source) == (10, STATISTICS)
    assert found.notes[0].startswith("No traces: no ")


def test_failures_are_counted_and_if_no_request_is_answered_the_first_is_raised():
    found = explain_many(FakeExplainer(FakeTracing(), fails=4), load(10))
    assert (found.answered, found.errors) == (6, {"it failed": 4})
    with pytest.raises(InferenceError, match="it failed"):
        explain_many(FakeExplainer(FakeTracing(), fails=100), load(10))


def test_a_load_that_is_stopped_reports_what_there_is():
    found = explain_many(FakeExplainer(FakeTracing(), stops_at=ROUND + 5), load(5 * ROUND))
    assert found.answered == ROUND
    assert STOPPED in found.notes
    with pytest.raises(KeyboardInterrupt):
        explain_many(FakeExplainer(FakeTracing(), stops_at=3), load(10))


@pytest.mark.parametrize("bad", [{"count": 0}, {"count": 5, "concurrency": 0}])
def test_nothing_to_send_is_an_error(bad):
    with pytest.raises(ValueError, match="nothing to send"):
        explain_many(FakeExplainer(FakeTracing()), load(**bad))


def test_percentiles_come_from_a_bounded_random_sample_and_shares_from_all(monkeypatch):
    monkeypatch.setattr(collector, "MOST_KEPT", 50)
    graph, rng, whole = Graph(((), (0,)), (5.0, 20.0)), random.Random(1), []
    sums = Collector("graph")
    for number in range(600):
        waterfall = of_traces(graph.run(rng), graph.dag(), number)
        whole.append(waterfall.shares()["s1"])
        sums.add_answer(waterfall.total_ms)
        sums.add(waterfall)
    found = sums.profile("a simulation")
    assert found.answered == found.explained == 600
    (s1,) = (each for each in found.models if each.name == "s1")
    assert s1.path_share == pytest.approx(np.mean(whole))
    assert s1.on_path == s1.seen == 1
    assert found.total_ms[50] == pytest.approx(25.5, rel=0.15)
    assert len(sums._kept) == len(sums._totals) == 50


def test_nothing_explained_is_an_error():
    with pytest.raises(ValueError, match="no request to m was explained"):
        Collector("m").profile("nowhere")


def test_models_and_hops_share_the_whole_path():
    found = explained(Graph.drawn(random.Random(5)), 50, 1, as_bls=False)
    assert sum(each.path_share for each in found.models) + sum(found.hops.values()) == pytest.approx(1)
    assert list(found.hops.values()) == sorted(found.hops.values(), reverse=True)
