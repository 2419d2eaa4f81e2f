"""Spans from output SPANS of `bls_pipeline`: its own notes of when a request waited for each stage, and was in it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from readability_triton.explain.clock import Sent
from readability_triton.explain.waterfall import Span

SPANS = "SPANS"


class SpansError(ValueError):
    """Output SPANS is not what `bls_pipeline` writes; the message says why."""


class _Call(NamedTuple):
    stage: str
    rows: int
    queued: float
    start: float
    end: float

    @classmethod
    def read(cls, call: Mapping[str, Any]) -> "_Call":
        queued, start, end = (float(call[f"{when}_ms"]) for when in ("queued", "start", "end"))
        return cls(str(call["stage"]), int(call["rows"]), queued, start, end)


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
        calls = [_Call.read(call) for call in noted["calls"]]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise SpansError(f"output {SPANS} of {model} cannot be read: {type(error).__name__}: {error}") from error
    began_ns, notes = sent.on_clock_of(arrived_ns, arrived_ns + round(answered_ms * 1e6))
    arrived = (arrived_ns - began_ns) / 1e6
    spans = [
        Span("client", "client", 0.0, sent.total_ms, None),
        Span(model, "request", arrived, arrived + answered_ms, 0),
    ]
    for call in sorted(calls, key=lambda call: call.queued):
        queued, start, end = arrived + call.queued, arrived + call.start, arrived + call.end
        spans.append(Span(call.stage, "call", queued, end, 1, rows=call.rows))
        at = len(spans) - 1
        spans += [Span("queue", "queue", queued, start, at), Span("compute", "compute", start, end, at)]
    return spans, notes
