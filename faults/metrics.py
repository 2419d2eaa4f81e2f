"""Read a running server's Prometheus metrics."""

import re
import urllib.request
from collections.abc import Mapping

_PENDING = re.compile(r'^nv_inference_pending_request_count\{model="([^"]+)",.*\} ([0-9.e+]+)$', re.MULTILINE)


def pending_requests(metrics_url: str) -> Mapping[str, int]:
    """Requests that wait in each model's queue."""
    with urllib.request.urlopen(metrics_url, timeout=5) as answer:  # noqa: S310  # our own server, over HTTP
        text = answer.read().decode()
    return {model: int(float(count)) for model, count in _PENDING.findall(text)}
