"""Waterfalls as SVG: light and dark, for a page or a file of its own, readable on a phone."""

import hashlib
import math
from collections.abc import Sequence
from html import escape

from readability_triton.explain.chart import Chart, Row, as_ms, as_percent, chart_of
from readability_triton.explain.waterfall import Waterfall

WIDTH, LABELS, VALUES = 400, 112, 104
"""Of one waterfall, its labels to the left and its numbers to the right."""

TOP, ROW, BAR, AXIS, LEGEND, GAP, MARGIN = 34, 24, 12, 22, 22, 24, 8
SMALLEST = 1.0
"""Narrower bars would not be seen."""

_STYLE = """
.wf{--wf-ink:#1f2328;--wf-dim:#59636e;--wf-line:#d1d9e0;--wf-compute:#4269d0;--wf-queue:#efb118;--wf-move:#97a1ac;
--wf-path:#c8281e;--wf-whole:#d9e0e7;font:12px system-ui,-apple-system,"Segoe UI",sans-serif}
@media (prefers-color-scheme:dark){.wf{--wf-ink:#e6edf3;--wf-dim:#9198a1;--wf-line:#3d444d;--wf-compute:#6f93f0;
--wf-queue:#d9a521;--wf-move:#7d8792;--wf-path:#ff7b72;--wf-whole:#343b44}}
.wf text{fill:var(--wf-ink)}.wf .wf-dim{fill:var(--wf-dim)}.wf .wf-title{font-weight:600;font-size:13px}
.wf .wf-compute{fill:var(--wf-compute)}.wf .wf-queue{fill:var(--wf-queue)}
.wf .wf-input,.wf .wf-output{fill:var(--wf-move)}
.wf .wf-client,.wf .wf-request,.wf .wf-call{fill:var(--wf-whole)}.wf .wf-path{fill:var(--wf-path)}
.wf line{stroke:var(--wf-line)}.wf .wf-late{stroke:var(--wf-dim)}
""".replace("\n", "")

_LEGEND = (("compute", "compute"), ("queue", "queue"), ("input", "tensors in, out"), ("path", "critical path"))


def as_svg(drawn: Waterfall | Chart) -> str:
    """One waterfall as an SVG element with a title and a description for screen readers."""
    return side_by_side([drawn])


def side_by_side(drawn: Sequence[Waterfall | Chart]) -> str:
    """Several waterfalls beside one another, on the same scale of time."""
    charts = [chart_of(each) if isinstance(each, Waterfall) else each for each in drawn]
    height = TOP + ROW * max(len(chart.rows) for chart in charts) + AXIS + LEGEND
    width = len(charts) * WIDTH + (len(charts) - 1) * GAP + 2 * MARGIN
    longest = max(_longest(chart) for chart in charts) or 1.0
    title = " and ".join(chart.title for chart in charts)
    described = " ".join(_described(chart) for chart in charts)
    key = hashlib.sha256(f"{title}{described}".encode()).hexdigest()[:12]
    body = "".join(
        f'<g transform="translate({number * (WIDTH + GAP)} 0)">{_chart(chart, longest)}</g>'
        for number, chart in enumerate(charts)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wf" role="img" viewBox="{-MARGIN} 0 {width} {height}" '
        f'width="{width}" style="max-width:100%;height:auto" aria-labelledby="wf-t{key} wf-d{key}">'
        f'<title id="wf-t{key}">{escape(title)}</title><desc id="wf-d{key}">{escape(described)}</desc>'
        f"<style>{_STYLE}</style>{body}{_legend(height - LEGEND)}</svg>\n"
    )


def _longest(chart: Chart) -> float:
    return max([chart.total_ms, *(row.late_ms or 0.0 for row in chart.rows)])


def _described(chart: Chart) -> str:
    rows = "; ".join(f"{row.label} {_value(row)}" for row in chart.rows)
    return f"{chart.title}. {rows}. {' '.join(chart.sentences)}"


def _chart(chart: Chart, longest: float) -> str:
    scale = (WIDTH - LABELS - VALUES) / longest
    bottom = TOP + ROW * len(chart.rows)
    hops = f'<text x="{WIDTH}" y="16" text-anchor="end" class="wf-dim">hops {as_percent(chart.hops_share)}</text>'
    title = f'<text x="0" y="16" class="wf-title">{escape(chart.title)}</text>{hops}'
    rows = "".join(_row(row, TOP + ROW * number, scale) for number, row in enumerate(chart.rows))
    return title + _axis(longest, scale, bottom) + rows


def _row(row: Row, y: int, scale: float) -> str:
    label = row.label if len(row.label) + row.depth <= 18 else f"{row.label[: 16 - row.depth]}…"
    drawn = [f'<text x="{7 * row.depth}" y="{y + 15}">{escape(label)}</text>']
    bars = sorted(row.bars, key=lambda bar: bar.kind == "compute")  # on top of what others wait meanwhile
    drawn += [_rect(bar.start_ms, bar.end_ms, y + 4, BAR, f"wf-{bar.kind}", scale) for bar in bars]
    drawn += [_rect(start, end, y + 5 + BAR, 3, "wf-path", scale) for start, end in row.critical]
    if row.late_ms is not None:
        last = max(bar.end_ms for bar in row.bars)
        x, until, middle = _x(last, scale), _x(row.late_ms, scale), y + 4 + BAR / 2
        drawn.append(f'<line x1="{x}" x2="{until}" y1="{middle:g}" y2="{middle:g}" class="wf-late"/>')
    drawn.append(f'<text x="{WIDTH}" y="{y + 15}" text-anchor="end">{escape(_value(row))}</text>')
    return "".join(drawn)


def _value(row: Row) -> str:
    share = "" if row.share is None else f" · {as_percent(row.share)}"
    return f"{as_ms(row.busy_ms)}{share}"


def _x(ms: float, scale: float) -> str:
    return f"{LABELS + ms * scale:.2f}".rstrip("0").rstrip(".")


def _rect(start: float, end: float, y: int, height: int, kind: str, scale: float) -> str:
    width = f"{max((end - start) * scale, SMALLEST):.2f}"
    return f'<rect x="{_x(start, scale)}" y="{y}" width="{width}" height="{height}" class="{kind}"/>'


def _axis(longest: float, scale: float, bottom: int) -> str:
    step = nice_step(longest)
    drawn = []
    for number in range(int(longest / step) + 1):
        x = _x(number * step, scale)
        drawn.append(f'<line x1="{x}" x2="{x}" y1="{TOP - 4}" y2="{bottom}"/>')
        drawn.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle" class="wf-dim">{number * step:g}</text>')
    drawn.append(f'<text x="{WIDTH}" y="{bottom + 14}" text-anchor="end" class="wf-dim">ms</text>')
    return "".join(drawn)


def nice_step(longest: float) -> float:
    """The distance of ticks: 1, 2 or 5 times a power of ten, for three to five of them."""
    power = 10 ** math.floor(math.log10(longest / 3))
    return next(step * power for step in (1, 2, 5, 10) if longest / (step * power) <= 5)


def _legend(y: int) -> str:
    drawn, x = [], 0
    for kind, text in _LEGEND:
        drawn.append(f'<rect x="{x}" y="{y + 6}" width="10" height="{3 if kind == "path" else 10}" class="wf-{kind}"/>')
        drawn.append(f'<text x="{x + 14}" y="{y + 15}" class="wf-dim">{text}</text>')
        x += 26 + round(6.4 * len(text))
    return "".join(drawn)
