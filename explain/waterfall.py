"""One request as spans on one clock, and its critical path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["client", "request", "call", "queue", "input", "compute", "output"]
"""What a span is.

client: from sending a request to its answer. request: the same in the server. call: a step of an ensemble, or a call
of a stage or model that BLS makes. Within a call or request: queue, waiting for an instance; input, gathering its
inputs; compute; output, handing out what it gave.
"""

HOP = "hop"
"""Of a segment: between two spans."""


@dataclass(frozen=True)
class Span:
    """Something that took time.

    Attributes:
        name: of a client "client", of a request or call its model's name, of the others their kind.
        kind: see `Kind`.
        start_ms, end_ms: since the request was sent.
        parent: the index of the span that it is part of; None for the client's.
        reads: of a call, the indexes of the calls whose outputs it takes; None where they are not known, and are found
            from the times.
        rows: in a call of BLS, how many of the request's; 0 where it is not known.
    """

    name: str
    kind: Kind
    start_ms: float
    end_ms: float
    parent: int | None
    reads: tuple[int, ...] | None = None
    rows: int = 0

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Segment:
    """A stretch of the critical path.

    Attributes:
        name: the model's whose time it is; of a hop, both ends, such as `preprocess → bert-large`.
        kind: as the span's, or `HOP`.
        start_ms, end_ms: since the request was sent.
        span: index of the call or request whose time it is; of a hop, None.
    """

    name: str
    kind: str
    start_ms: float
    end_ms: float
    span: int | None

    @property
    def duration_ms(self) -> float:
        """How long it took."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Wait:
    """A call that took more than one input.

    Attributes:
        call: its index.
        waited_for: the index of the call whose output came last.
        slack_ms: for every other call that it reads, by index, how much earlier its output was there.
    """

    call: int
    waited_for: int
    slack_ms: Mapping[int, float]


@dataclass(frozen=True)
class Waterfall:
    """One request.

    Attributes:
        model: that it was sent to.
        spans: the first is the client's.
        path: the critical path, segments that follow one another from the first moment to the last.
        waits: calls that waited for the last of several others.
        slack_ms: of each call, by index: how much longer it could have taken without delaying the answer.
        source: where the spans within the server come from.
        notes: what a reader must know of how exact they are.
    """

    model: str
    spans: tuple[Span, ...]
    path: tuple[Segment, ...]
    waits: tuple[Wait, ...] = ()
    slack_ms: Mapping[int, float] = field(default_factory=dict)
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def total_ms(self) -> float:
        """From sending the request to its answer."""
        return self.spans[0].duration_ms

    def shares(self) -> dict[str, float]:
        """Each name on the critical path, longest first, with its share of the whole time: they sum to 1."""
        spent: dict[str, float] = {}
        for segment in self.path:
            spent[segment.name] = spent.get(segment.name, 0.0) + segment.duration_ms
        total = self.total_ms or 1.0
        return {name: spent[name] / total for name in sorted(spent, key=lambda name: -spent[name])}

    def steps(self) -> tuple[int, ...]:
        """Indexes of all calls, by start."""
        calls = (at for at, span in enumerate(self.spans) if span.kind == "call")
        return tuple(sorted(calls, key=lambda at: self.spans[at].start_ms))
