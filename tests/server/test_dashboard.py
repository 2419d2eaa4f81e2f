"""The Grafana dashboard asks for metrics and labels that the server has."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from readability_triton.client.errors import InvalidRequestError
from readability_triton.client.scorer import Scorer
from readability_triton.serving.server import TritonServer

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana-dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPORT_S = 5.0


def metrics_of(expression: str) -> list[str]:
    return re.findall(r"\b((?:nv|bls)_\w+)(?=[\[{)])", expression)


def scrape(server: TritonServer) -> dict[str, set[str]]:
    """The labels of every metric."""
    labels: dict[str, set[str]] = {}
    with urllib.request.urlopen(server.metrics_url) as answer:
        for line in answer.read().decode().splitlines():
            if match := re.match(r"(\w+)(?:\{(.*)\})? ", line):
                labels.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return labels


@pytest.fixture(scope="module")
def labels(server: TritonServer) -> dict[str, set[str]]:
    """After requests of every kind, an answer without the encoder, a degraded one and an error among them."""
    for parameters in ({}, {"policy": "deadline", "deadline_ms": 0.0}):
        with Scorer(url=server.grpc_url, fallback=None, parameters=parameters) as scorer:
            scorer.score(["A hen sat in the sun."], 0.0)
            scorer.score(["A hen sat in the sun."], 1.0)
    with (
        Scorer(url=server.grpc_url, fallback=None, parameters={"policy": "none"}) as scorer,
        pytest.raises(InvalidRequestError),
    ):
        scorer.score(["A hen sat in the sun."])
    end = time.monotonic() + EXPORT_S
    while "bls_errors_total" not in (found := scrape(server)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_of_metrics_and_labels_that_there_are(expression: str, labels: dict[str, set[str]]) -> None:
    metrics = metrics_of(expression)
    assert metrics
    for metric in metrics:
        assert metric in labels
        used = {name for names in re.findall(r"by \((.*?)\)", expression) for name in names.split(", ")}
        used |= {
            name for selector in re.findall(r"\{(.*?)\}", expression) for name in re.findall(r"(\w+)[=!]", selector)
        }
        assert used <= labels[metric]


def test_every_metric_of_the_pipeline_is_on_the_dashboard(labels: dict[str, set[str]]) -> None:
    ours = {metric for metric in labels if metric.startswith("bls_")}
    assert ours == {
        metric for expression in EXPRESSIONS for metric in metrics_of(expression) if metric.startswith("bls_")
    }
