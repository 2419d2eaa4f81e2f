"""Spans from output SPANS of `bls_pipeline`: its own notes of when a request waited for each stage, and was in it."""

import json
from typing import Any

from numpy.typing import NDArray

from readability_triton.explain.clock import Sent
from readability_triton.explain.waterfall import Span

SPANS = "SPANS"


class SpansError(ValueError):
    """Output SPANS is not what `bls_pipeline` writes; the message says why."""


def spans_of(output: NDArray[Any], model: str, sent: Sent) -> tuple[list[Span], tuple[str, ...]]:
    """The spans of a request, the client's first, and notes.

    Args:
        output: SPANS, an object array [B, 1]; the first row holds JSON, which `readability_triton.bls.spans` describes.
        model: that was asked.
        sent: when.

    Raises:
        SpansError: if it is none.
    """
    try:
        noted = json.loads(output.ravel()[0])
        arrived_ns, answered_ms = int(noted["arrived_ns"]), float(noted["answered_ms"])
        calls = [
            (str(call["stage"]), int(call["rows"]), *(float(call[f"{when}_ms"]) for when in ("queued", "start", "end")))
            for call in noted["calls"]
        ]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise SpansError(f"output {SPANS} of {model} cannot be read: {type(error).__name__}: {error}") from error
    began_ns, notes = sent.on_clock_of(arrived_ns, arrived_ns + round(answered_ms * 1e6))
    arrived = (arrived_ns - began_ns) / 1e6
    spans = [
        Span("client", "client", 0.0, sent.total_ms, None),
        Span(model, "request", arrived, arrived + answered_ms, 0),
    ]
    for stage, rows, queued, start, end in sorted(calls, key=lambda call: call[2]):
        at = len(spans)
        spans.append(Span(stage, "call", arrived + queued, arrived + end, 1, rows=rows))
        spans.append(Span("queue", "queue", arrived + queued, arrived + start, at))
        spans.append(Span("compute", "compute", arrived + start, arrived + end, at))
    return spans, notes
