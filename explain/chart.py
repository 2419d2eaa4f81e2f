"""Rows of a waterfall as both drawings show them: one for each model, by where it was called from."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from readability_triton.explain.waterfall import HOP, Kind, Span, Waterfall

MODELS = ("client", "request", "call")
"""Kinds of spans that have a row of their own."""

SMALLEST_SHARE = 0.005
MOST_WAITS = 3
"""Sentences about who waited for whom."""

_KINDS = {"compute": "compute", "queue": "queue", "input": "tensors in and out", "output": "tensors in and out"}


@dataclass(frozen=True)
class Bar:
    """A stretch of time in a row; of a call its parts, such as queue and compute.

    Attributes:
        kind: what it is.
        start_ms, end_ms: since the request was sent.
    """

    kind: Kind
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        label: its name, and how often it was called if more than once.
        depth: how far to the right the label stands: 0 for the client.
        bars: in the order of their start.
        busy_ms: how long at least one of its calls was under way.
        share: of the critical path; None where it has none of its own.
        critical: stretches of the critical path in it.
        late_ms: the 90th percentile of its end, where the row sums up many requests.
    """

    label: str
    depth: int
    bars: tuple[Bar, ...]
    busy_ms: float
    share: float | None
    critical: tuple[tuple[float, float], ...] = ()
    late_ms: float | None = None


@dataclass(frozen=True)
class Chart:
    """A waterfall to be drawn.

    Attributes:
        title: a line.
        rows: from top to bottom.
        total_ms: the whole time.
        hops_share: of the critical path.
        sentences: what the picture shows, in words.
    """

    title: str
    rows: tuple[Row, ...]
    total_ms: float
    hops_share: float
    sentences: tuple[str, ...]


Key = tuple[str, ...]
"""A row: the names from the client down to the model."""


def chart_of(waterfall: Waterfall) -> Chart:
    """A request's waterfall."""
    return Chart(
        f"{waterfall.model}: {as_ms(waterfall.total_ms)}",
        tuple(_row(waterfall, key, spans) for key, spans in rows_of(waterfall).items()),
        waterfall.total_ms,
        hops_share(waterfall),
        (*_sentences(waterfall), *waterfall.notes),
    )


def rows_of(waterfall: Waterfall) -> dict[Key, list[int]]:
    """Which spans share a row: those of the same name that were called from the same one."""
    rows: dict[Key, list[int]] = {}
    keys: list[Key] = []
    for at, span in enumerate(waterfall.spans):
        keys.append((*(() if span.parent is None else keys[span.parent]), span.name))
        if span.kind in MODELS:
            rows.setdefault(keys[at], []).append(at)
    return rows


def hops_share(waterfall: Waterfall) -> float:
    """The share of hops in the critical path."""
    hops = sum(segment.duration_ms for segment in waterfall.path if segment.kind == HOP)
    return hops / waterfall.total_ms if waterfall.total_ms else 0.0


def on_path_ms(waterfall: Waterfall, spans: Iterable[int]) -> float:
    """How much of the critical path is in these spans."""
    among = set(spans)
    return sum(segment.duration_ms for segment in waterfall.path if segment.span in among)


def busy_ms(spans: Iterable[Span]) -> float:
    """How long at least one of the spans lasted."""
    busy, until = 0.0, float("-inf")
    for span in sorted(spans, key=lambda span: span.start_ms):
        busy += max(span.end_ms - max(span.start_ms, until), 0.0)
        until = max(until, span.end_ms)
    return busy


def _row(waterfall: Waterfall, key: Key, at: list[int]) -> Row:
    spans = [waterfall.spans[each] for each in at]
    parts = [part for part in waterfall.spans if part.parent in at and part.kind not in MODELS]
    on_path = on_path_ms(waterfall, at)
    return Row(
        key[-1] if len(at) == 1 else f"{key[-1]} ×{len(at)}",
        len(key) - 1,
        tuple(Bar(span.kind, span.start_ms, span.end_ms) for span in parts or spans),
        busy_ms(spans),
        on_path / waterfall.total_ms if on_path else None,
        tuple((each.start_ms, each.end_ms) for each in waterfall.path if each.span in at),
    )


def _sentences(waterfall: Waterfall) -> tuple[str, ...]:
    """What made the request take as long as it did, and who waited for whom."""
    hops = hops_share(waterfall)
    models = {span.name for span in waterfall.spans}
    steps = [(name, share) for name, share in waterfall.shares().items() if name in models]
    named = [f"{name} {as_percent(share)}" for name, share in steps if share >= SMALLEST_SHARE]
    return (
        f"Critical path: {', '.join([*named, f'hops {as_percent(hops)}'])}.",
        f"By kind: {', '.join(_by_kind(waterfall))}.",
        *waits_of(waterfall),
    )


def _by_kind(waterfall: Waterfall) -> list[str]:
    spent: defaultdict[str, float] = defaultdict(float)
    for segment in waterfall.path:
        spent[_KINDS.get(segment.kind, "hops")] += segment.duration_ms
    largest = sorted(spent.items(), key=lambda each: -each[1])
    return [f"{kind} {as_percent(ms / waterfall.total_ms)}" for kind, ms in largest]


def waits_of(waterfall: Waterfall) -> list[str]:
    """Sentences about who waited for whom, while both ran."""
    return list(dict.fromkeys(_waits(waterfall)))[:MOST_WAITS]


def _waits(waterfall: Waterfall) -> Iterable[str]:
    spans = waterfall.spans
    for wait in waterfall.waits:
        for other, slack in wait.slack_ms.items():
            call, last, early = (spans[at].name for at in (wait.call, wait.waited_for, other))
            if slack > 0 and len({call, last, early}) == 3 and _overlap(spans, other, wait.waited_for):
                yield f"{call} waited for {last}; {early} was ready {as_ms(slack)} earlier."


def _overlap(spans: Sequence[Span], one: int, other: int) -> bool:
    first, second = spans[one], spans[other]
    return min(first.end_ms, second.end_ms) > max(first.start_ms, second.start_ms)


def as_ms(value: float) -> str:
    """Milliseconds with three digits."""
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def as_percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"
