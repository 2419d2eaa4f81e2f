import asyncio
import io
import json

import numpy as np
import pytest
from rich.console import Console

from readability_triton.compare import stage_times
from readability_triton.compare.page import as_html
from readability_triton.compare.record import as_json
from readability_triton.compare.stage_times import StageTimes, between, parse
from readability_triton.compare.summary import summarise
from readability_triton.compare.tables import as_table
from readability_triton.compare.workload import Workload

PAGE = """\
# HELP bls_stage_calls_total Calls of a stage
# TYPE bls_stage_calls_total counter
bls_stage_calls_total{stage="bert-large"} 10
bls_stage_calls_total{stage="cuml"} 4
bls_stage_rows_total{stage="bert-large"} 15
bls_queue_seconds_bucket{stage="bert-large",le="0.001"} 3
bls_queue_seconds_count{stage="bert-large"} 12
bls_queue_seconds_sum{stage="bert-large"} 0.024
bls_stage_seconds_sum{stage="bert-large"} 1.5e-1
bls_requests_total{policy="parallel"} 10
nv_inference_count{model="bert-large",version="1"} 15
"""


def test_a_page_of_metrics_gives_the_times_of_each_stage():
    stages = parse(PAGE)
    assert stages == {"bert-large": StageTimes(10, 15, 12, 0.024, 0.15), "cuml": StageTimes(calls=4)}
    bert = stages["bert-large"]
    assert bert.rows_per_call == 1.5
    assert bert.queue_ms == pytest.approx(2.0)
    assert bert.call_ms == pytest.approx(15.0)
    assert (StageTimes().rows_per_call, StageTimes().queue_ms, StageTimes().call_ms) == (0, 0, 0)


def test_between_two_readings_only_stages_that_were_called_are_left():
    before, after = parse(PAGE), parse(PAGE.replace('total{stage="bert-large"} 10', 'total{stage="bert-large"} 13'))
    assert between(before, after) == {"bert-large": StageTimes(calls=3)}
    assert between({}, before) == before
    assert between(before, before) == {}


def test_the_endpoint_of_a_server_is_read(httpserver_page):
    assert asyncio.run(stage_times.read(httpserver_page)) == parse(PAGE)


def test_an_endpoint_that_does_not_answer_is_an_os_error():
    with pytest.raises(OSError, match="refused"):
        asyncio.run(stage_times.read("http://127.0.0.1:9/metrics"))


def test_reports_have_the_stages_where_a_server_told_them(make_outcome):
    outcome = make_outcome()
    bare = summarise(outcome, 1e-5)
    outcome.measured[0].stages = parse(PAGE)
    summary = summarise(outcome, 1e-5)
    workload = Workload([{"X": np.zeros(1)}], [218], "a test")
    html = as_html(outcome, summary, [], {"client_machine": "a", "gpu": [], "server": {"name": "t", "version": "1"}})
    assert json.loads(as_json(outcome, summary, workload, {}))["summary"]["loads"][0]["stages"]["bert-large"]
    assert html.count("by its own metrics") == 1
    written = io.StringIO()
    Console(file=written, width=80).print(as_table(summary, []))
    assert "rows a call" in written.getvalue()
    written = io.StringIO()
    Console(file=written, width=80).print(as_table(bare, []))
    assert "own metrics" not in written.getvalue()


@pytest.fixture
def httpserver_page():
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
