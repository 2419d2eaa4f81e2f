"""Rows of a waterfall as both drawings show them: one for each model, by where it was called from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from readability_triton.explain.waterfall import HOP, Kind, Span, Waterfall


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
        busy_ms: from the start to the end of its calls, summed where there are several.
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


def chart_of(waterfall: Waterfall) -> Chart:
    """A request's waterfall."""
    shares = waterfall.shares()
    rows: dict[tuple[tuple[str, ...], str], Row] = {}
    paths: list[tuple[str, ...]] = []
    counts: dict[tuple[tuple[str, ...], str], int] = {}
    for at, span in enumerate(waterfall.spans):
        above = () if span.parent is None else paths[span.parent]
        paths.append((*above, span.name))
        if span.kind not in ("client", "request", "call"):
            continue
        key = (above, span.name)
        row = _row(waterfall, at, len(above), shares)
        counts[key] = counts.get(key, 0) + 1
        if key in rows:
            known = rows[key]
            row = replace(
                known,
                bars=known.bars + row.bars,
                busy_ms=known.busy_ms + row.busy_ms,
                critical=known.critical + row.critical,
                label=f"{span.name} ×{counts[key]}",
            )
        rows[key] = row
    hops = sum(segment.duration_ms for segment in waterfall.path if segment.kind == HOP)
    total = waterfall.total_ms
    return Chart(
        f"{waterfall.model}: {as_ms(total)}",
        tuple(rows.values()),
        total,
        hops / total if total else 0.0,
        sentences_of(waterfall),
    )


def _row(waterfall: Waterfall, at: int, depth: int, shares: dict[str, float]) -> Row:
    span = waterfall.spans[at]
    parts = [
        Bar(part.kind, part.start_ms, part.end_ms) for part in waterfall.spans if part.parent == at and _is_part(part)
    ]
    bars = sorted(parts, key=lambda bar: bar.start_ms) or [Bar(span.kind, span.start_ms, span.end_ms)]
    critical = tuple((each.start_ms, each.end_ms) for each in waterfall.path if each.span == at)
    share = None if span.kind == "client" else shares.get(span.name)
    return Row(span.name, depth, tuple(bars), span.duration_ms, share, critical)


def _is_part(span: Span) -> bool:
    return span.kind not in ("client", "request", "call")


def sentences_of(waterfall: Waterfall) -> tuple[str, ...]:
    """What made the request take as long as it did, who waited for whom, and what ran at the same time."""
    spans = waterfall.spans
    steps = {name: share for name, share in waterfall.shares().items() if "→" not in name}
    hops = 1.0 - sum(steps.values())
    parts = [f"{name} {as_percent(share)}" for name, share in steps.items() if share >= 0.005]
    sentences = [f"Critical path: {', '.join([*parts, f'hops {as_percent(hops)}'])}."]
    sentences.append(f"By kind: {', '.join(_by_kind(waterfall))}.")
    named: set[tuple[str, str]] = set()
    for wait in waterfall.waits:
        for other, slack in wait.slack_ms.items():
            names = (spans[wait.call].name, spans[other].name)
            if slack > 0 and names not in named and overlap(spans, other, wait.waited_for) > 0:
                named.add(names)
                sentences.append(
                    f"{names[0]} waited for {spans[wait.waited_for].name}; {names[1]} was ready {as_ms(slack)} earlier."
                )
    return (*sentences, *waterfall.notes)


_KINDS = {"compute": "compute", "queue": "queue", "input": "tensors in and out", "output": "tensors in and out"}


def _by_kind(waterfall: Waterfall) -> list[str]:
    spent: dict[str, float] = {}
    for segment in waterfall.path:
        kind = _KINDS.get(segment.kind, "hops")
        spent[kind] = spent.get(kind, 0.0) + segment.duration_ms
    return [
        f"{kind} {as_percent(ms / waterfall.total_ms)}" for kind, ms in sorted(spent.items(), key=lambda each: -each[1])
    ]


def overlap(spans: Sequence[Span], one: int, other: int) -> float:
    """For how many milliseconds both ran."""
    first, second = spans[one], spans[other]
    return min(first.end_ms, second.end_ms) - max(first.start_ms, second.start_ms)


def as_ms(value: float) -> str:
    """Milliseconds with three digits."""
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def as_percent(share: float) -> str:
    """A share in percent."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"
