"""A comparison as tables in a terminal of 80 columns."""

from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from readability_triton.compare.breakdown import STEPS, Spent
from readability_triton.compare.conclusions import cautions, conclusions, milliseconds
from readability_triton.compare.figures import Compared, Interval
from readability_triton.compare.summary import LoadSummary, Summary

BREAKDOWN_NOTE = (
    "Inside the server, ms a request by Triton's statistics; the lines of an ensemble and of BLS hold those of the "
    "models that they call."
)
STAGES_NOTE = (
    "Stages of bls_pipeline by its own metrics: Triton's statistics see only that it accepts a request. If both arms "
    "call it, the figures are over both."
)


def as_table(summary: Summary, about: Sequence[str]) -> RenderableType:
    """Figures of each load and where the time went, then the sentences; `about` are lines to begin with."""
    first, second = summary.labels
    parts: list[RenderableType] = [*map(Text, about), Text(f"A: {first}\nB: {second}")]
    for load in summary.loads:
        parts += [Text(f"\n{load.load}", style="bold"), _figures(load), _breakdown(load)]
        parts += [_stages(load)] if load.stages else []
        parts.append(Text(f"{client_share(load)[0].upper()}{client_share(load)[1:]}."))
    if summary.loads:
        note = f" {STAGES_NOTE}" if any(load.stages for load in summary.loads) else ""
        parts.append(Text(f"A figure in brackets is a 95 % interval. {BREAKDOWN_NOTE}{note}\n"))
    parts += [Text(f"• {sentence}") for sentence in conclusions(summary)]
    parts += [Text(f"! {sentence}") for sentence in cautions(summary)]
    return Group(*parts)


def rows(load: LoadSummary) -> Iterator[tuple[str, ...]]:
    """Of each figure: its name, both arms' values, difference and ratio with intervals."""
    for percentile, figure in load.latency.items():
        gap = _interval(figure.difference, lambda seconds: f"{seconds * 1000:+.2f}")
        yield f"p{percentile} ms", milliseconds(figure.first), milliseconds(figure.second), gap, _ratio(figure)
    rate = load.throughput
    gap = _interval(rate.difference, lambda per_second: f"{per_second:+.1f}")
    yield "requests/s", f"{rate.first:.1f}", f"{rate.second:.1f}", gap, _ratio(rate)
    if beside := load.beside:
        gap = _interval(beside.difference, lambda per_second: f"{per_second:+.1f}")
        yield "beside/s", f"{beside.first:.1f}", f"{beside.second:.1f}", gap, _ratio(beside)


def client_share(load: LoadSummary) -> str:
    """What the client took for itself under both arms, in words."""
    shares = " and ".join(f"{arm.client_share:.1%}" for arm in load.arms)
    return f"the client took {shares} of the machine"


def _figures(load: LoadSummary) -> Table:
    table = _table("", "A", "B", "B - A", "B / A")
    for row in rows(load):
        table.add_row(*row)
    return table


def _breakdown(load: LoadSummary) -> Table:
    table = _table("", "model", "batch", *(step.removeprefix("compute_") for step in STEPS))
    for label, arm in zip("AB", load.arms, strict=True):
        for number, (model, spent) in enumerate(sorted(arm.spent.items())):
            table.add_row("" if number else label, model, *_spent(spent))
    return table


def stage_rows(load: LoadSummary) -> Iterator[tuple[str, ...]]:
    """Of each stage of `bls_pipeline`: its name, calls, rows a call, milliseconds in the queue and in a call."""
    for stage, times in sorted(load.stages.items()):
        numbers = f"{times.rows_per_call:.1f}", f"{times.queue_ms:.2f}", f"{times.call_ms:.2f}"
        yield stage, f"{times.calls:.0f}", *numbers


STAGE_COLUMNS = ("calls", "rows a call", "queue ms", "call ms")


def _stages(load: LoadSummary) -> Table:
    table = _table("stage", *STAGE_COLUMNS)
    for row in stage_rows(load):
        table.add_row(*row)
    return table


def _spent(spent: Spent) -> Iterator[str]:
    yield f"{spent.requests / spent.executions:.1f}" if spent.executions else ""
    yield from (milliseconds(spent.per_request(step)) for step in STEPS)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in ("", "model", "stage") else "right", no_wrap=True)
    return table


def _ratio(figure: Compared) -> str:
    return _interval(figure.ratio, lambda ratio: f"{ratio:.3f}")


def _interval(interval: Interval, show: Callable[[float], str]) -> str:
    return f"{show(interval.value)} ({show(interval.low)} to {show(interval.high)})"
