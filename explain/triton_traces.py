"""Triton's traces: JSON in, spans out.

A trace file is a list of fragments. One of each trace names its model, the request's id and the trace's parent; the
others have one timestamp each, in nanoseconds of `std::chrono::steady_clock`, CLOCK_MONOTONIC on Linux (`TraceManager`
in server `src/tracer.cc`). The traces of an ensemble's steps are children of the ensemble's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from readability_triton.ensemble.dag import Dag
from readability_triton.explain.waterfall import Kind, Span

ANSWERED = ("INFER_RESPONSE_COMPLETE", "REQUEST_END")
"""The end of a request: the first of these that there is. Triton closes a request only after it has sent the answer."""

PARTS: tuple[tuple[Kind, str, str], ...] = (
    ("queue", "QUEUE_START", "COMPUTE_START"),
    ("input", "COMPUTE_START", "COMPUTE_INPUT_END"),
    ("compute", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START"),
    ("output", "COMPUTE_OUTPUT_START", "COMPUTE_END"),
)


class TraceError(ValueError):
    """A trace file cannot be read; the message says why."""


@dataclass
class Trace:
    """One model's part in one request.

    Attributes:
        id: unique in the server's life.
        model: the model's name.
        request_id: as the client sent it; steps have their ensemble's.
        parent: the id of the trace that it belongs to; None at the top.
        ns: nanoseconds by the name of what happened then, the first of each name.
        children: in the order of their start.
    """

    id: int
    model: str = ""
    request_id: str = ""
    parent: int | None = None
    ns: dict[str, int] = field(default_factory=dict)
    children: list["Trace"] = field(default_factory=list)

    @property
    def start(self) -> int:
        """When the model got the request."""
        return self.ns["REQUEST_START"]

    @property
    def end(self) -> int:
        """When the answer was there."""
        return next(self.ns[name] for name in ANSWERED if name in self.ns)

    @property
    def is_complete(self) -> bool:
        """Whether its model, its start and its end are known, and those of all children."""
        known = bool(self.model) and "REQUEST_START" in self.ns and any(name in self.ns for name in ANSWERED)
        return known and all(child.is_complete for child in self.children)


def read_traces(text: str, where: str) -> list[Trace]:
    """The traces in a file, those at the top, with their children.

    Args:
        text: what is in the file.
        where: its name, for errors.

    Raises:
        TraceError: if it is no JSON, as where it is cut off, or not what Triton writes.
    """
    try:
        fragments = json.loads(text)
        return _trees(fragments)
    except json.JSONDecodeError as error:
        raise TraceError(f"{where} is no complete JSON, character {error.pos}: {error.msg}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{where} is not a trace of Triton: {type(error).__name__}: {error}") from error


def _trees(fragments: Iterable[Mapping[str, Any]]) -> list[Trace]:
    traces: dict[int, Trace] = {}
    for fragment in fragments:
        trace = traces.setdefault(int(fragment["id"]), Trace(int(fragment["id"])))
        if "model_name" in fragment:
            trace.model, trace.request_id = str(fragment["model_name"]), str(fragment.get("request_id", ""))
            trace.parent = int(fragment["parent_id"]) if "parent_id" in fragment else None
        for stamp in fragment.get("timestamps", ()):
            trace.ns.setdefault(str(stamp["name"]), int(stamp["ns"]))
    for trace in sorted(traces.values(), key=lambda trace: trace.ns.get("REQUEST_START", 0)):
        if trace.parent in traces:
            traces[trace.parent].children.append(trace)
    return [trace for trace in traces.values() if trace.parent not in traces]


def spans_of(trace: Trace, dags: Mapping[str, Dag], sent_ns: int, first: int, parent: int) -> list[Span]:
    """A trace and its children as spans.

    Args:
        trace: a complete one.
        dags: the graph of every ensemble in it that is known.
        sent_ns: when the client sent the request, by the clock of the trace.
        first: the index that the first span gets.
        parent: the index of the client's span.
    """
    spans: list[Span] = []
    _add(spans, trace, "request", dags, sent_ns, first, parent, None)
    return spans


def _add(
    spans: list[Span],
    trace: Trace,
    kind: Kind,
    dags: Mapping[str, Dag],
    sent_ns: int,
    first: int,
    parent: int,
    reads: tuple[int, ...] | None,
) -> int:
    """Append a trace's spans; the index of its first."""
    at = first + len(spans)
    spans.append(Span(trace.model, kind, _ms(trace.start - sent_ns), _ms(trace.end - sent_ns), parent, reads))
    for part, begins, ends in PARTS:
        if begins in trace.ns and ends in trace.ns:
            begin, end = trace.ns[begins] - sent_ns, trace.ns[ends] - sent_ns
            spans.append(Span(part, part, _ms(begin), _ms(max(begin, end)), at))
    steps = _steps(trace, dags.get(trace.model))
    indexes: dict[int, int] = {}
    for number, child in enumerate(trace.children):
        read = None
        if steps is not None:
            read = tuple(indexes[each] for each in steps[number] if each in indexes)
        indexes[number] = _add(spans, child, "call", dags, sent_ns, first, at, read)
    return at


def _steps(trace: Trace, dag: Dag | None) -> Sequence[Sequence[int]] | None:
    """For each child, the numbers of the children that it reads; None if that is not known."""
    if dag is None:
        return None
    free = [step for level in dag.levels() for step in level]
    mine = []
    for child in trace.children:
        step = next((step for step in free if step.model == child.model), None)
        if step is None:
            return None
        free.remove(step)
        mine.append(step)
    written = [set(step.outputs.values()) for step in mine]
    return [[other for other, tensors in enumerate(written) if tensors & set(step.inputs.values())] for step in mine]


def _ms(ns: int) -> float:
    return ns / 1e6
