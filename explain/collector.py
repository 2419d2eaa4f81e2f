"""Add up the waterfalls of many requests, in bounded memory."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from readability_triton.explain.chart import MODELS, Key, busy_ms, on_path_ms, rows_of
from readability_triton.explain.profile import PARTS, Means, Profile, Seen, Summary
from readability_triton.explain.waterfall import HOP, Kind, Waterfall

MOST_KEPT = 4000
"""Requests whose times are kept for percentiles; of more, a random sample of so many. Shares are over all."""

T = TypeVar("T")


@dataclass
class Collector:
    """Adds up waterfalls as they come.

    Attributes:
        model: the model's name.
        errors: messages of failed requests, with how often.
    """

    model: str
    seed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    _answered: int = 0
    _hops_ms: float = 0.0
    _explained: int = 0
    _totals: list[float] = field(default_factory=list)
    _kept: list[tuple[Waterfall, dict[Key, Seen]]] = field(default_factory=list)
    _kinds: dict[Key, Kind] = field(default_factory=dict)
    _seen: Counter[Key] = field(default_factory=Counter)
    _on_path: Counter[Key] = field(default_factory=Counter)
    _shares: defaultdict[Key, float] = field(default_factory=lambda: defaultdict(float))
    _path_ms: defaultdict[Key, float] = field(default_factory=lambda: defaultdict(float))
    _busy_ms: defaultdict[Key, float] = field(default_factory=lambda: defaultdict(float))
    _hops: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def explained(self) -> int:
        """Waterfalls so far."""
        return self._explained

    def add_answer(self, total_ms: float) -> None:
        """Count a request that was answered."""
        self._answered += 1
        self._keep(self._totals, total_ms, self._answered)

    def add(self, waterfall: Waterfall) -> None:
        """Add a request's waterfall."""
        self._explained += 1
        self._notes.update(dict.fromkeys(waterfall.notes))
        seen = {}
        for key, spans in rows_of(waterfall).items():
            seen[key] = one = _seen(waterfall, spans)
            self._kinds.setdefault(key, waterfall.spans[spans[0]].kind)
            self._seen[key] += 1
            self._on_path[key] += one.on_path > 0
            self._shares[key] += one.on_path / (waterfall.total_ms or 1.0)
            self._path_ms[key] += one.on_path
            self._busy_ms[key] += one.busy
        for segment in waterfall.path:
            if segment.kind == HOP:
                self._hops_ms += segment.duration_ms
                self._hops[segment.name] += segment.duration_ms / (waterfall.total_ms or 1.0)
        self._keep(self._kept, (waterfall, seen), self._explained)

    def profile(self, source: str, notes: Sequence[str] = ()) -> Profile:
        """What there is so far.

        Raises:
            ValueError: if no request was explained.
        """
        if not self._explained:
            raise ValueError(f"no request to {self.model} was explained")
        totals = self._totals or [waterfall.total_ms for waterfall, _ in self._kept]
        percentiles = {each: float(np.percentile(totals, each)) for each in (50, 90, 99)}
        typical = min(self._kept, key=lambda kept: abs(kept[0].total_ms - percentiles[50]))[0]
        hops = {name: self._hops[name] / self._explained for name in sorted(self._hops, key=lambda n: -self._hops[n])}
        return Profile(
            self.model,
            self._answered,
            self._explained,
            percentiles,
            tuple(self._summary(key) for key in self._ordered()),
            hops,
            self._hops_ms / self._explained,
            typical,
            dict(self.errors),
            source,
            (*self._notes, *notes),
        )

    def _keep(self, sample: list[T], newest: T, count: int) -> None:
        """Keep the newest of `count`, or drop it: the sample stays a random one of them all (Vitter's algorithm R)."""
        if len(sample) < MOST_KEPT:
            sample.append(newest)
        elif (at := self._random.randrange(count)) < MOST_KEPT:
            sample[at] = newest

    def _ordered(self) -> list[Key]:
        """Keys, those called from a model below it, by their median start."""
        starts = {key: self._percentile(key, 50).start for key in self._kinds if self._has(key)}
        return sorted(starts, key=lambda key: [(starts.get(key[: n + 1], 0.0), key[n]) for n in range(len(key))])

    def _has(self, key: Key) -> bool:
        return any(key in seen for _, seen in self._kept)

    def _percentile(self, key: Key, percentile: int) -> Seen:
        seen = [seen[key] for _, seen in self._kept if key in seen]
        start, end, busy, on_path, calls, *parts = np.percentile(
            [(*one[:5], *one.parts) for one in seen], percentile, axis=0
        ).tolist()
        return Seen(start, end, busy, on_path, round(calls), tuple(parts))

    def _summary(self, key: Key) -> Summary:
        n = self._explained
        return Summary(
            key,
            self._kinds[key],
            self._percentile(key, 50),
            self._percentile(key, 90),
            self._seen[key] / n,
            self._on_path[key] / n,
            self._shares[key] / n,
            Means(self._path_ms[key] / n, self._busy_ms[key] / n),
        )


def _seen(waterfall: Waterfall, at: list[int]) -> Seen:
    spans = [waterfall.spans[each] for each in at]
    among = set(at)
    parts = dict.fromkeys(PARTS, 0.0)
    for span in waterfall.spans:
        if span.parent in among and span.kind not in MODELS:
            parts[span.kind] += span.duration_ms
    return Seen(
        min(span.start_ms for span in spans),
        max(span.end_ms for span in spans),
        busy_ms(spans),
        on_path_ms(waterfall, at),
        len(at),
        tuple(parts.values()),
    )
