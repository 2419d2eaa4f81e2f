"""Spans from traces, from output SPANS and from statistics, and every way in which these may be missing or spoilt."""

import json

import numpy as np
import pytest

from readability_triton.bls.spans import Spans, StageCall
from readability_triton.client.access import Access
from readability_triton.client.errors import ModelUnavailableError, ServerUnreachableError
from readability_triton.compare.breakdown import Spent
from readability_triton.explain import bls_spans, statistics, tracing
from readability_triton.explain.clock import CENTRED, Sent
from readability_triton.explain.one_request import LATE, Answered, Model, by_own_spans, by_trace
from readability_triton.explain.server import ServerConnection
from readability_triton.explain.tracing import SETTINGS, Tracing, TracingUnavailableError
from readability_triton.explain.triton_traces import TraceError, read_traces
from readability_triton.serving.ports import free_ports
from tests.explain.scheduler import NS, Graph

DIAMOND = Graph(((), (0,), (0,), (1, 2)), (5.0, 50.0, 5.0, 5.0))


def fragments(request_id="r", start=10, end=60):
    stamps = [{"id": 1, "timestamps": [{"name": name, "ns": ns * NS}]} for name, ns in
              (("REQUEST_START", start), ("REQUEST_END", end))]  # fmt: skip
    return json.dumps([{"id": 1, "model_name": "m", "model_version": 1, "request_id": request_id}, *stamps])


class FakeServer:
    """Triton's trace API; `write` does what Triton does after a request."""

    def __init__(self, folder, **settings):
        self.folder, self.count = folder, 0
        defaults = {
            "trace_level": ["OFF"], "trace_rate": ["1000"], "trace_count": ["-1"], "log_frequency": ["0"],
            "trace_mode": ["triton"], "trace_file": [str(folder / "trace")],
        }  # fmt: skip
        self.by_default = defaults | settings
        self.models: dict[str, dict] = {}

    def trace_settings(self, model):
        return self.by_default | self.models.get(model, {})

    def set_trace(self, model, settings):
        known = self.models.setdefault(model, {})
        for name, value in settings.items():
            if value is None:
                known.pop(name, None)
            else:
                known[name] = value if isinstance(value, list) else [value]

    def write(self, text):
        (self.folder / f"trace.{self.count}").write_text(text)
        self.count += 1


@pytest.fixture
def fake(tmp_path):
    return FakeServer(tmp_path)


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(tracing, "WRITTEN_WITHIN_S", 0.05)


def test_traces_are_read_as_they_come_and_old_files_are_left(fake):
    fake.write(fragments("old"))
    session = Tracing(fake, "m", 1, removes=False)
    assert session.take("old") is None
    fake.write(fragments("new"))
    assert session.wait_for("new").model == "m"
    assert session.take("new") is None
    assert len(list(fake.folder.iterdir())) == 2


def test_files_of_an_own_server_are_removed(fake):
    session = Tracing(fake, "m", 1, removes=True)
    fake.write(fragments())
    session.wait_for("r")
    assert list(fake.folder.iterdir()) == []


@pytest.mark.parametrize("before", [{}, {"trace_level": ["TENSORS"], "trace_rate": ["7"]}])
def test_the_settings_are_as_before_afterwards(fake, before):
    fake.models["m"] = dict(before)
    was = fake.trace_settings("m")
    session = Tracing(fake, "m", 1, removes=False)
    assert fake.trace_settings("m")["trace_rate"] == ["1"]
    session.close()
    assert {name: fake.trace_settings("m")[name] for name in SETTINGS} == {name: was[name] for name in SETTINGS}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"trace_mode": ["opentelemetry"]}, "opentelemetry"),
        ({"trace_file": [""]}, "without a trace file"),
        ({"trace_file": ["/nowhere/at/all/trace"]}, "not in a folder of this machine"),
        ({"trace_file": ["trace"]}, "not in a folder of this machine"),
    ],
)
def test_a_server_that_writes_no_traces_here_is_said_to(tmp_path, settings, why):
    with pytest.raises(TracingUnavailableError, match=why):
        Tracing(FakeServer(tmp_path, **settings), "m", 1, removes=False)


@pytest.mark.parametrize("refused", ["trace_settings", "set_trace"])
def test_a_server_that_refuses_is_said_to(fake, monkeypatch, refused):
    def refuse(*_):
        raise ModelUnavailableError("This protocol is restricted")

    monkeypatch.setattr(fake, refused, refuse)
    with pytest.raises(TracingUnavailableError, match="restricted"):
        Tracing(fake, "m", 1, removes=False)


def test_a_trace_that_does_not_come_is_an_error_that_names_the_file(fake, fast):
    session = Tracing(fake, "m", 1, removes=False)
    with pytest.raises(TraceError, match=r"no trace of the request in .*trace"):
        session.wait_for("r")


def test_a_file_that_is_being_written_is_read_when_it_is_complete_and_one_cut_off_is_an_error(fake, fast):
    session = Tracing(fake, "m", 1, removes=False)
    fake.write(fragments()[:40])
    assert session.take("r") is None
    (fake.folder / "trace.0").write_text(fragments())
    assert session.take("r").model == "m"
    fake.write(fragments("cut")[:40])
    with pytest.raises(TraceError, match=r"trace\.1 is no complete JSON, character \d+"):
        session.wait_for("cut")


def test_a_file_that_cannot_be_read_is_an_error(fake):
    session = Tracing(fake, "m", 1, removes=False)
    (fake.folder / "trace.0").mkdir()
    with pytest.raises(OSError, match=r"trace\.0"):
        session.wait_for("r")


@pytest.mark.parametrize(
    "text", ["[", "{}x", "[1]", '[{"id": "x"}]', '[{"id": 1, "timestamps": [{"name": "A"}]}]', "3"]
)
def test_text_that_is_no_trace_is_an_error_that_names_where(text):
    with pytest.raises(TraceError, match=r"^here is "):
        read_traces(text, "here")


def test_a_trace_without_its_end_is_not_complete():
    (trace,) = read_traces(json.dumps(json.loads(fragments())[:2]), "here")
    assert not trace.is_complete


def test_a_clock_that_is_not_the_clients_is_noted_and_the_server_is_centred():
    sent = Sent(1_000_000 * NS, 1_000_060 * NS)
    (trace,) = read_traces(fragments(start=10, end=50), "here")
    waterfall = by_trace(Model("m", {}, (), False), trace, sent)
    request = waterfall.spans[1]
    assert waterfall.notes == (CENTRED,)
    assert (request.start_ms, request.end_ms) == (10, 50)
    assert waterfall.path[-1].end_ms == waterfall.total_ms == 60


@pytest.mark.parametrize(("first_ends", "is_late"), [(20, True), (90, False)])
def test_a_step_that_is_timed_only_until_execute_returns_is_noted(first_ends, is_late):
    spans = {1: ("m", None, 5, 99), 2: ("first", 1, 10, first_ends), 3: ("second", 1, 92, 97)}
    written = []
    for trace, (model, parent, *stamps) in spans.items():
        about = {"id": trace, "model_name": model, "model_version": 1, "request_id": "r"}
        written.append(about if parent is None else about | {"parent_id": parent})
        for name, ns in zip(("REQUEST_START", "REQUEST_END"), stamps, strict=True):
            written.append({"id": trace, "timestamps": [{"name": name, "ns": ns * NS}]})
    (trace,) = read_traces(json.dumps(written), "here")
    notes = by_trace(Model("m", {}, (), False), trace, Sent(0, 100 * NS)).notes
    assert (LATE in notes) == is_late


def test_a_server_that_says_it_took_longer_than_the_client_waited_does_not_lengthen_the_path():
    (trace,) = read_traces(fragments(start=10, end=100), "here")
    waterfall = by_trace(Model("m", {}, (), False), trace, Sent(0, 60 * NS))
    assert (waterfall.path[0].start_ms, waterfall.path[-1].end_ms) == (0, 60)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"arrived_ns": 1, "answered_ms": 2, "calls": [{}]}'])
def test_spans_that_cannot_be_read_leave_the_clients_time_and_a_note(text):
    answered = Answered("r", Sent(0, 5 * NS), {}, np.array([[text]], object))
    waterfall = by_own_spans(Model("bls", {}, (), True), answered)
    assert waterfall.shares() == {"client": 1.0}
    assert "output SPANS of bls cannot be read" in waterfall.notes[0]


def test_an_answer_without_spans_is_noted():
    waterfall = by_own_spans(Model("bls", {}, (), True), Answered("r", Sent(0, 5 * NS), {}))
    assert waterfall.notes == ("bls gave no output SPANS",)


def test_the_pipelines_own_spans_are_read_as_they_are_written():
    written = Spans(10.0, 10.05, (StageCall("cuml", 2, 10.01, 10.02, 10.04),)).as_json()
    spans, notes = bls_spans.spans_of(np.array([[written], [b""]], object), "bls", Sent(9_995 * NS, 10_060 * NS))
    assert notes == ()
    assert [(span.name, round(span.start_ms, 6), round(span.end_ms, 6), span.rows) for span in spans] == [
        ("client", 0, 65, 0), ("bls", 5, 55, 0), ("cuml", 15, 45, 2), ("queue", 15, 25, 0), ("compute", 25, 45, 0),
    ]  # fmt: skip


def spent(ms, requests=1):
    return Spent(requests, requests, 0.0, 0.0, requests * ms / 1000, 0.0)


def test_statistics_lay_steps_out_by_the_graph():
    all_spent = {"graph": spent(60), "s0": spent(5), "s1": spent(50), "s2": spent(5), "s3": spent(5)}
    spans, notes = statistics.spans_of("graph", DIAMOND.dag(), all_spent, Sent(0, 70 * NS), 1)
    starts = {span.name: span.start_ms for span in spans if span.kind == "call"}
    assert starts == {"s0": 5, "s1": 10, "s2": 10, "s3": 60}
    assert notes == (statistics.MEANS,)


def test_statistics_name_other_clients_and_what_is_not_known_without_a_graph():
    all_spent = {"bls": spent(20, 5), "a": spent(5), "b": spent(5)}
    spans, notes = statistics.spans_of("bls", None, all_spent, Sent(0, 30 * NS), 2)
    assert [span.name for span in spans if span.kind == "call"] == ["a", "b"]
    assert "5 requests, 2 of them ours" in notes[0]
    assert "drawn in a row" in notes[1]


def test_a_model_that_calls_no_other_has_its_own_parts():
    spans, notes = statistics.spans_of("m", None, {"m": spent(20)}, Sent(0, 30 * NS), 1)
    assert [span.kind for span in spans] == ["client", "request", "queue", "input", "compute", "output"]
    assert notes == ()


def test_only_grpc_addresses_are_taken_and_a_server_that_is_gone_is_named(silent_port):
    with pytest.raises(ValueError, match="not a gRPC address"):
        ServerConnection("http://localhost:8000", Access(), 1)
    server = ServerConnection(f"grpc://127.0.0.1:{silent_port}", Access(), 2)
    with pytest.raises(ServerUnreachableError, match=str(silent_port)):
        server.config("m")
    server.close()


@pytest.fixture
def silent_port():
    return free_ports(1, "127.0.0.1")[0]
