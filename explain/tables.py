"""Waterfalls for a terminal."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from readability_triton.explain.chart import Chart, Row, as_ms, as_percent, chart_of
from readability_triton.explain.profile import Profile
from readability_triton.explain.waterfall import Waterfall

BAR_CELLS = 40
_STYLES = {"compute": "blue", "queue": "yellow", "input": "bright_black", "output": "bright_black"}
_CELLS = {"compute": "█", "queue": "░", "input": "▒", "output": "▒"}
_WHOLE = "─"
LEGEND = "█ compute  ░ queue  ▒ tensors in and out  ─ with what it calls; bold: critical path"
SMALLEST_CHANGE_MS = 0.05
SMALLEST_BLAME = 0.1
"""Of the model that is blamed for the most; less is noise, or follows from it."""


def as_table(drawn: Waterfall | Profile) -> RenderableType:
    """One waterfall, with what it shows in words."""
    if isinstance(drawn, Waterfall):
        return _drawn(chart_of(drawn), drawn.source)
    return Group(_drawn(drawn.chart(), drawn.source), _percentiles(drawn), *map(Text, _failed(drawn)))


def _failed(profile: Profile) -> list[str]:
    return [f"{count} requests failed: {message}" for message, count in profile.errors.items()]


def _drawn(chart: Chart, source: str) -> RenderableType:
    table = Table(title=f"{chart.title}, by {source}" if source else chart.title, title_justify="left", box=None)
    table.add_column("", no_wrap=True)
    table.add_column(f"0 to {as_ms(chart.total_ms)}", no_wrap=True)
    table.add_column("ms", justify="right")
    table.add_column("path", justify="right")
    for row in chart.rows:
        share = "" if row.share is None else as_percent(row.share)
        table.add_row("  " * row.depth + row.label, bar_of(row, chart.total_ms), as_ms(row.busy_ms), share)
    return Group(table, Text(LEGEND, style="dim"), *map(Text, chart.sentences))


def bar_of(row: Row, total_ms: float) -> Text:
    """A row's time as a line of characters; what lasts less than one has one."""
    cells = [(" ", "")] * BAR_CELLS
    scale = BAR_CELLS / (total_ms or 1.0)
    for bar in sorted(row.bars, key=lambda bar: bar.kind == "compute"):
        first = min(int(bar.start_ms * scale), BAR_CELLS - 1)
        last = max(first + 1, min(round(bar.end_ms * scale), BAR_CELLS))
        cell = (_CELLS.get(bar.kind, _WHOLE), _STYLES.get(bar.kind, "dim"))
        cells[first:last] = [cell] * (last - first)
    for start, end in row.critical:
        for at in range(int(start * scale), min(round(end * scale), BAR_CELLS)):
            cells[at] = (cells[at][0], f"bold {cells[at][1]}")
    return Text.assemble(*cells)


def _percentiles(profile: Profile) -> Table:
    total = ", ".join(f"p{each} {as_ms(ms)}" for each, ms in profile.total_ms.items())
    table = Table(title=f"{profile.answered:,} requests: {total}", title_justify="left", box=None)
    table.add_column("", no_wrap=True)
    for name in ("queue p50", "compute p50", "p50", "p90", "of path", "on path in"):
        table.add_column(name, justify="right")
    for each in profile.models:
        queue, _, compute, _ = each.p50.parts
        parts = [as_ms(part) if part else "" for part in (queue, compute)]
        on_path = [as_percent(each.path_share), as_percent(each.on_path)] if each.on_path > 0 else ["", ""]
        label = "  " * (len(each.key) - 1) + each.name
        table.add_row(label, *parts, as_ms(each.p50.busy), as_ms(each.p90.busy), *on_path)
    return table


def differences(first: Profile, second: Profile) -> RenderableType:
    """What takes more of the second's critical path than of the first's."""
    title = f"On the critical path, {second.model} against {first.model}"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("")
    for name in (first.model, second.model, "difference"):
        table.add_column(name, justify="right")
    one, other = (_on_path(profile) for profile in (first, second))
    changes = {name: other.get(name, 0.0) - one.get(name, 0.0) for name in {**one, **other}}
    for name, change in sorted(changes.items(), key=lambda each: -each[1]):
        if abs(change) >= SMALLEST_CHANGE_MS:
            table.add_row(name, as_ms(one.get(name, 0.0)), as_ms(other.get(name, 0.0)), f"{change:+.2f} ms")
    return table


def _on_path(profile: Profile) -> dict[str, float]:
    return {name: means.path_ms for name, means in profile.means().items()} | {"hops": profile.hops_ms}


def blamed(longer: Mapping[str, float], source: str) -> RenderableType:
    """Which models take longer than in an earlier profile, and delay the answer by it."""
    table = Table(title=f"Longer than in {source}, on the critical path", title_justify="left", box=None)
    table.add_column("")
    table.add_column("longer by", justify="right")
    least = max(SMALLEST_CHANGE_MS, SMALLEST_BLAME * max(longer.values(), default=0.0))
    for name, ms in longer.items():
        if ms >= least:
            table.add_row(name, as_ms(ms))
    if not table.row_count:
        return Text(f"No model delays the answer by more than in {source}.")
    return table
