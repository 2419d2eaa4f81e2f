"""Read a running server's Prometheus metrics."""

import re
import urllib.request
from collections.abc import Mapping

_PENDING = re.compile(r'^nv_inference_pending_request_count\{model="([^"]+)",.*\} ([0-9.e+]+)$', re.MULTILINE)


_QUEUED = re.compile(r'^bls_rows_queued\{stage="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE)


def rows_queued(metrics_url: str) -> Mapping[str, int]:
    """Rows that wait in the queues of `bls_pipeline`, by stage; brought up to date every two seconds."""
    return {stage: int(float(count)) for stage, count in _QUEUED.findall(_scrape(metrics_url))}


def pending_requests(metrics_url: str) -> Mapping[str, int]:
    """Requests that wait in each model's queue."""
    return {model: int(float(count)) for model, count in _PENDING.findall(_scrape(metrics_url))}


def _scrape(metrics_url: str) -> str:
    with urllib.request.urlopen(metrics_url, timeout=5) as answer:  # noqa: S310  # our own server, over HTTP
        text: str = answer.read().decode()
    return text
