"""What made a request take as long as it did: from its end back, each time to the call that finished last.

A call's outputs are ready when its compute is done: Triton passes them on before it closes the call. A call depends on
those whose outputs it takes (`Span.reads`); where that is not known, as in BLS, on every call of the same parent that
was ready when it began. Of these, the one that was ready last is on the critical path. Gaps between spans are hops.
"""

from collections import defaultdict
from collections.abc import Sequence

from readability_triton.explain.waterfall import HOP, Segment, Span, Wait, Waterfall

CALLS = ("request", "call")


def waterfall_of(model: str, spans: Sequence[Span], source: str = "", notes: Sequence[str] = ()) -> Waterfall:
    """A waterfall with its critical path.

    Args:
        model: that the request was sent to.
        spans: the first is the client's; a parent stands before its children.
        source: where they come from.
        notes: what a reader must know.

    Raises:
        ValueError: if spans are no tree under the client's.
    """
    tree = _Tree(spans)
    waits, slack = tree.waits_and_slack()
    return Waterfall(model, tuple(spans), tuple(tree.path()), waits, slack, source, tuple(notes))


class _Tree:
    def __init__(self, spans: Sequence[Span]) -> None:
        if not spans or spans[0].parent is not None:
            raise ValueError("the first span is the client's and has no parent")
        self._spans = spans
        self._calls: dict[int, list[int]] = defaultdict(list)
        self._parts: dict[int, list[int]] = defaultdict(list)
        for at, span in enumerate(spans[1:], 1):
            if span.parent is None or not 0 <= span.parent < at:
                raise ValueError(f"span {at}, {span.name}, has no parent before it")
            (self._calls if span.kind in CALLS else self._parts)[span.parent].append(at)

    def path(self) -> list[Segment]:
        """Segments from the client's start to its end."""
        client = self._spans[0]
        return self._through(0, client.start_ms, client.end_ms)

    def _ready(self, at: int) -> float:
        """When the outputs of a call are there."""
        outputs = [self._spans[part].start_ms for part in self._parts[at] if self._spans[part].kind == "output"]
        return min(outputs, default=self._spans[at].end_ms)

    def reads(self, at: int) -> list[int]:
        """The calls that a call depends on."""
        span = self._spans[at]
        siblings = self._calls[span.parent or 0]
        if span.reads is not None:
            return [each for each in span.reads if each in siblings and self._ready(each) <= span.end_ms]
        return [each for each in siblings if each != at and self._ready(each) <= span.start_ms]

    def _through(self, at: int, start: float, end: float) -> list[Segment]:
        """The path through a span between two moments."""
        parts = sorted(self._parts[at], key=lambda part: self._spans[part].start_ms)
        if not parts:
            return self._through_calls(at, start, end) if self._calls[at] else self._own(at, "compute", start, end)
        segments, now = [], start
        for part in parts:
            span = self._spans[part]
            first, last = max(now, min(span.start_ms, end)), min(span.end_ms, end)
            segments += self._own(at, "queue" if part == parts[0] else "compute", now, first)
            if span.kind == "compute" and self._calls[at]:
                segments += self._through_calls(at, first, max(first, last))
            else:
                segments += self._own(at, span.kind, first, last)
            now = max(now, first, last)
        return segments + self._own(at, "output", now, end)

    def _through_calls(self, at: int, start: float, end: float) -> list[Segment]:
        """From the last call within a span back to the first."""
        segments: list[Segment] = []
        now, follower = end, self._spans[at].name
        candidates = [call for call in self._calls[at] if self._spans[call].start_ms < end]
        seen: set[int] = set()
        while candidates := [call for call in candidates if call not in seen]:
            last = max(candidates, key=self._ready)
            seen.add(last)
            span = self._spans[last]
            begin, finish = max(start, min(span.start_ms, now)), min(span.end_ms, now)
            segments[:0] = self._hop(span.name, follower, max(begin, finish), now)
            segments[:0] = self._through(last, begin, max(begin, finish))
            now, follower, candidates = begin, span.name, self.reads(last)
        return self._hop(self._spans[at].name, follower, start, now) + segments

    def _own(self, at: int, kind: str, start: float, end: float) -> list[Segment]:
        return [Segment(self._spans[at].name, kind, start, end, at)] if end > start else []

    @staticmethod
    def _hop(before: str, after: str, start: float, end: float) -> list[Segment]:
        return [Segment(f"{before} → {after}", HOP, start, end, None)] if end > start else []

    def waits_and_slack(self) -> tuple[tuple[Wait, ...], dict[int, float]]:
        """Who waited for whom, and how much later each call could have ended without delaying the answer."""
        waits, slack = [], {}
        for calls in list(self._calls.values()):
            readers: dict[int, list[int]] = defaultdict(list)
            for call in calls:
                read = self.reads(call)
                for each in read:
                    readers[each].append(call)
                if len(read) > 1:
                    waits.append(self._wait(call, read))
            last = max(map(self._ready, calls), default=0.0)
            for call in sorted(calls, key=self._ready, reverse=True):
                slack[call] = last - self._ready(call)
                for reader in readers[call]:
                    came_last = max(map(self._ready, self.reads(reader)))
                    spare = slack.get(reader, 0.0) + came_last - self._ready(call)
                    slack[call] = min(slack[call], spare)
        return tuple(waits), slack

    def _wait(self, call: int, read: Sequence[int]) -> Wait:
        last = max(read, key=self._ready)
        ready = self._ready(last)
        return Wait(call, last, {each: ready - self._ready(each) for each in read if each != last})
