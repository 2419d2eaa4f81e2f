"""Many requests to one model, summed up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from readability_triton.explain.chart import SMALLEST_SHARE, Bar, Chart, Key, Row, as_ms, as_percent, waits_of
from readability_triton.explain.waterfall import Kind, Waterfall

MOST_HOPS = 3
"""That are named."""

PARTS: tuple[Kind, ...] = ("queue", "input", "compute", "output")


class Seen(NamedTuple):
    """One model's part in one request, in milliseconds.

    Attributes:
        start, end: since the request was sent, of its first call and of its last.
        busy: how long at least one of its calls was under way.
        on_path: of that, on the critical path.
        calls: how many.
        parts: queue, input, compute and output, summed over its calls.
    """

    start: float
    end: float
    busy: float
    on_path: float
    calls: int
    parts: tuple[float, ...]


class Means(NamedTuple):
    """One model over all requests, in milliseconds.

    Attributes:
        path_ms: of the critical path.
        busy_ms: how long at least one of its calls was under way.
    """

    path_ms: float
    busy_ms: float


@dataclass(frozen=True)
class Summary:
    """One model's part in many requests.

    Attributes:
        key: names from the client down to the model.
        kind: of its spans.
        p50, p90: of `Seen`, field by field, over the requests that it had a part in.
        seen: the share of such requests.
        on_path: the share of all requests that had it on their critical path.
        path_share: its share of a request's critical path, averaged over all requests.
        means: over all requests.
    """

    key: Key
    kind: Kind
    p50: Seen
    p90: Seen
    seen: float
    on_path: float
    path_share: float
    means: Means

    @property
    def name(self) -> str:
        """The model's."""
        return self.key[-1]


@dataclass(frozen=True)
class Profile:
    """Where the time of many requests went.

    Attributes:
        model: that they were sent to.
        answered: how many were.
        explained: of these, those whose spans are known.
        total_ms: percentiles of the whole time, by 50, 90 and 99.
        models: by where they were called from.
        hops: each hop on a critical path, with its share averaged over all requests, the largest first.
        hops_ms: milliseconds of all hops on a request's critical path, on average.
        typical: the request whose time is nearest to the median.
        errors: messages of failed requests, with how often.
        source: where the spans come from.
        notes: what a reader must know of how exact they are.
    """

    model: str
    answered: int
    explained: int
    total_ms: Mapping[int, float]
    models: tuple[Summary, ...]
    hops: Mapping[str, float]
    hops_ms: float
    typical: Waterfall
    errors: Mapping[str, int]
    source: str
    notes: tuple[str, ...]

    def means(self) -> dict[str, Means]:
        """Every model's means, those that take the most of the critical path first."""
        found: dict[str, Means] = {}
        for summary in self.models:
            if summary.kind != "client":
                known = found.get(summary.name, Means(0.0, 0.0))
                found[summary.name] = Means(*(one + more for one, more in zip(known, summary.means, strict=True)))
        return dict(sorted(found.items(), key=lambda each: -each[1].path_ms))

    def chart(self) -> Chart:
        """The median waterfall: every bar at its median, a line to the 90th percentile of its end."""
        p50 = self.total_ms[50]
        title = f"{self.model}: {as_ms(p50)} (p50 of {self.answered:,})"
        return Chart(title, tuple(map(_row, self.models)), p50, sum(self.hops.values()), self.sentences())

    def sentences(self) -> tuple[str, ...]:
        """What made the requests take as long as they did, in words."""
        shares = sorted(self.models, key=lambda each: -each.path_share)
        parts = [
            f"{each.name} {as_percent(each.path_share)}"
            + ("" if each.on_path > 0.995 else f" (on it in {as_percent(each.on_path)} of requests)")
            for each in shares
            if each.kind != "client" and each.path_share >= SMALLEST_SHARE
        ]
        hops = f"hops {as_percent(sum(self.hops.values()))}"
        longest = [f"{name} {as_percent(share)}" for name, share in list(self.hops.items())[:MOST_HOPS]]
        sentences = [f"Critical path, on average: {', '.join([*parts, hops])}.", f"Longest hops: {', '.join(longest)}."]
        return (*sentences, *(f"In the median request, {wait}" for wait in waits_of(self.typical)), *self.notes)


def slower(before: Mapping[str, Means], after: Mapping[str, Means]) -> dict[str, float]:
    """Which models are to blame if requests take longer than before: by how many milliseconds, the most first.

    A model is to blame as far as it takes longer itself and is on the critical path now. One that takes longer within
    its slack is not, nor is one that is on the path only because another branch got longer.
    """
    nothing = Means(0.0, 0.0)
    longer = {name: min(now.path_ms, now.busy_ms - before.get(name, nothing).busy_ms) for name, now in after.items()}
    return dict(sorted(longer.items(), key=lambda each: -each[1]))


def _row(summary: Summary) -> Row:
    bars, now = [], summary.p50.start
    for kind, ms in zip(PARTS, summary.p50.parts, strict=True):
        if ms > 0 and summary.p50.calls <= 1:
            bars.append(Bar(kind, now, now + ms))
            now += ms
    whole = Bar(summary.kind, summary.p50.start, summary.p50.end)
    label = summary.name if summary.p50.calls <= 1 else f"{summary.name} ×{round(summary.p50.calls)}"
    share = summary.path_share if summary.path_share > 0 else None
    critical = ((whole.start_ms, whole.end_ms),) if summary.on_path >= 0.5 and summary.kind == "call" else ()
    return Row(
        label,
        len(summary.key) - 1,
        tuple(bars) or (whole,),
        summary.p50.busy,
        share,
        critical,
        summary.p90.end,
    )
