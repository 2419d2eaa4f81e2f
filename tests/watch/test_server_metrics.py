"""Counts on a metrics endpoint are read as they are written, and say what they can."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from readability_triton.bls.metrics import Metrics
from readability_triton.bls.tally import SHADOW_RATIO, SHADOWS, Tally
from readability_triton.watch.conclusions import Limits
from readability_triton.watch.server_metrics import conclude, parse, scrape


class Page:
    """Families of Triton, as a page of text."""

    def __init__(self) -> None:
        self.series: dict[str, float] = {}

    def family(self, kind, is_gauge):
        page = self

        class Family:
            def Metric(self, labels):  # noqa: N802
                name = kind.name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")

                class Series:
                    def increment(self, by):
                        page.series[name] = page.series.get(name, 0) + by

                    set = increment

                return Series()

        return Family()

    def text(self) -> str:
        return "".join(f"{name} {value}\n" for name, value in self.series.items())


def page_of(ratios, outcomes) -> str:
    tally, page = Tally(), Page()
    metrics = Metrics(tally, dict, page.family)
    for ratio in ratios:
        tally.observe(SHADOW_RATIO, "", ratio)
    for outcome, n in outcomes.items():
        tally.add(SHADOWS, outcome, n)
    metrics.close()
    return page.text()


def test_what_the_model_reports_is_read() -> None:
    counts = parse(page_of([0.7, 0.97, 1.3], {"same": 2, "late": 1, "dropped": 7}))
    assert counts.outcomes == {"same": 2, "late": 1, "dropped": 7}
    assert counts.ratios[1.0] == 2
    assert counts.ratios[float("inf")] == 3


@pytest.mark.parametrize(
    ("ratio", "outcomes", "verdict"),
    [
        (1.0, {"same": 3000, "dropped": 500}, "no worse"),
        (1.3, {"same": 3000}, "worse"),
        (1.0, {"same": 2700, "differs": 300}, "worse"),
        (1.0, {"same": 1}, "undecided"),
    ],
)
def test_the_verdict_follows_from_counts(ratio: float, outcomes, verdict: str) -> None:
    n = outcomes["same"] if outcomes["same"] < 10 else 3000
    ratios = ratio * np.random.default_rng(0).lognormal(0.0, 0.05, n)
    found = conclude(parse(page_of(ratios, outcomes)), Limits())
    assert found.verdict == verdict
    pair = found.findings[1]
    if n > 10:
        assert pair.interval.low <= ratio <= pair.interval.high


def test_a_server_without_shadows_is_undecided() -> None:
    assert conclude(parse("nv_inference_count 3\n"), Limits()).verdict == "undecided"
    assert len(conclude(parse(""), Limits(measures=["wrong"])).findings) == 1


def test_nothing_at_the_address_is_an_os_error() -> None:
    with pytest.raises(OSError, match="refused"):
        scrape("http://localhost:9/metrics")


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """The address of a server that leads to its own /other, and the paths that it was asked for."""
    asked: list[str] = []

    class Redirect(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/other")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Redirect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/metrics", asked
        server.shutdown()
        thread.join()


def test_a_redirect_is_an_error_and_gets_no_token(elsewhere: tuple[str, list[str]]) -> None:
    url, asked = elsewhere
    with pytest.raises(OSError, match="302"):
        scrape(url, {"Authorization": "Bearer secret"})
    assert asked == ["/metrics"]
