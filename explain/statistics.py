"""Spans from Triton's statistics, where there are no traces: what models did on average from one moment to another.

The order of an ensemble's steps is that of its graph; how long each took is the mean over all requests of the time,
those of other clients too. What happened between steps is not known: it appears before and after them.
"""

from collections.abc import Mapping

from readability_triton.compare.breakdown import Breakdown, Spent
from readability_triton.ensemble.dag import Dag, Step
from readability_triton.explain.clock import Sent
from readability_triton.explain.waterfall import Kind, Span

PARTS: tuple[tuple[Kind, str], ...] = (
    ("queue", "queue"),
    ("input", "compute_input"),
    ("compute", "compute_infer"),
    ("output", "compute_output"),
)
MEANS = "Steps are laid out by the graph, each as long as Triton's statistics say on average; hops are not seen."
NO_GRAPH = (
    "What {model} called, and how long that took, is known from statistics; when is not: calls are drawn in a row."
)
OTHERS = "Other requests ran at the same time: the averages are over {count} requests, {ours} of them ours."


def spans_of(
    model: str, dag: Dag | None, spent: Mapping[str, Spent], sent: Sent, ours: int
) -> tuple[list[Span], tuple[str, ...]]:
    """The spans of a request, the client's first, and notes.

    Args:
        model: that was asked.
        dag: its graph, where it is an ensemble.
        spent: what every model did in the time.
        sent: when the request was sent and answered.
        ours: requests that were ours.
    """
    spans = [Span("client", "client", 0.0, sent.total_ms, None)]
    notes = [MEANS] if dag else []
    count = spent[model].requests if model in spent else 0
    if count > ours:
        notes.append(OTHERS.format(count=count, ours=ours))
    if dag is not None:
        calls = _by_graph(dag, spent)
    else:
        others = [name for name in spent if name != model]
        calls = _in_a_row(others, spent)
        notes += [NO_GRAPH.format(model=model)] if others else []
    length = max((end for _, _, end, _ in calls), default=0.0)
    if model in spent and not calls:
        length = _length(spent[model])
    length = min(max(length, 0.0), sent.total_ms)
    begin = (sent.total_ms - length) / 2
    spans.append(Span(model, "request", begin, begin + length, 0))
    if not calls and model in spent:
        _add_parts(spans, spent[model], begin, 1)
    places: list[int] = []
    for name, start, end, reads in calls:
        places.append(len(spans))
        spans.append(Span(name, "call", begin + start, begin + end, 1, tuple(places[each] for each in reads)))
        _add_parts(spans, spent[name], begin + start, len(spans) - 1)
    return spans, tuple(notes)


_Call = tuple[str, float, float, tuple[int, ...]]
"""A model, its start and end in milliseconds, and the numbers of the calls that it reads."""


def _by_graph(dag: Dag, spent: Breakdown) -> list[_Call]:
    """Each step as early as its inputs allow."""
    calls: list[_Call] = []
    steps: list[Step] = []
    for level in dag.levels():
        for step in level:
            if step.model not in spent:
                continue
            reads = [at for at, other in enumerate(steps) if set(other.outputs.values()) & set(step.inputs.values())]
            start = max((calls[at][2] - _handing_out(spent[calls[at][0]]) for at in reads), default=0.0)
            calls.append((step.model, start, start + _length(spent[step.model]), tuple(reads)))
            steps.append(step)
    return calls


def _in_a_row(models: list[str], spent: Breakdown) -> list[_Call]:
    calls: list[_Call] = []
    now = 0.0
    for name in models:
        end = now + _length(spent[name])
        calls.append((name, now, end, (len(calls) - 1,) if calls else ()))
        now = end
    return calls


def _length(spent: Spent) -> float:
    return 1000 * sum(spent.per_request(step) for _, step in PARTS)


def _handing_out(spent: Spent) -> float:
    """Milliseconds in which the next step already has the outputs."""
    return 1000 * spent.per_request("compute_output")


def _add_parts(spans: list[Span], spent: Spent, start: float, parent: int) -> None:
    for kind, step in PARTS:
        end = start + 1000 * spent.per_request(step)
        spans.append(Span(kind, kind, start, end, parent))
        start = end
