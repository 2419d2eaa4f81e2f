"""The pictures of the HTML report, each a piece of SVG that needs nothing else."""

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from readability_triton.compare.breakdown import STEPS
from readability_triton.compare.experiment import Measured
from readability_triton.compare.figures import latencies
from readability_triton.compare.summary import LoadSummary, Summary

COLOURS = ("#3b6fb6", "#d1741f")
STEP_COLOURS = ("#b9b9b9", "#8fb8de", "#3b6fb6", "#1d3a63")
_numbers = itertools.count(1)
SHOWN_OF_LATENCIES = 99.5
"""Percentile at which the axis of a distribution ends; the few requests beyond are counted under the picture."""


def distribution(labels: tuple[str, str], measured: Measured) -> str:
    """A histogram of latencies for each arm, over the same bins, with a line at each median."""
    seconds = [latencies(blocks) * 1000 for blocks in measured.answered()]
    pooled = np.concatenate(seconds)
    top = float(np.percentile(pooled, SHOWN_OF_LATENCIES))
    bins = np.histogram_bin_edges(pooled[pooled <= top], bins="fd")
    figure, axes = _figure()
    for label, each, colour in zip(labels, seconds, COLOURS, strict=True):
        axes.hist(
            each, bins=bins.tolist(), weights=np.full(len(each), 100 / len(each)), color=colour, alpha=0.5, label=label
        )
        axes.axvline(float(np.median(each)), color=colour, linewidth=1.2)
    beyond = ", ".join(f"{(each > top).sum()} of {len(each)}" for each in seconds)
    axes.set(xlabel=f"latency, ms (not shown, beyond {top:.0f} ms: {beyond})", ylabel="% of requests", xlim=(None, top))
    return _finish(figure, axes)


def over_time(labels: tuple[str, str], measured: Measured) -> str:
    """Median and 95th percentile of each block, in the order in which the blocks ran."""
    figure, axes = _figure()
    for label, blocks, colour in zip(labels, measured.answered(), COLOURS, strict=True):
        figures = np.array([np.percentile(latencies([block]), [50, 95]) for block in blocks]) * 1000
        numbers = range(1, len(blocks) + 1)
        axes.plot(numbers, figures[:, 0], color=colour, label=f"{label}, p50")
        axes.plot(numbers, figures[:, 1], color=colour, linestyle=":", label=f"{label}, p95")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="block", ylabel="latency, ms", ylim=(0, None))
    return _finish(figure, axes)


def throughput(summary: Summary) -> str | None:
    """Requests a second against concurrency; None where fewer than two closed loops were measured."""
    closed = sorted(
        ((load.concurrency, load.throughput) for load in summary.loads if load.concurrency is not None),
        key=lambda pair: pair[0],
    )
    if len(closed) < 2:
        return None
    figure, axes = _figure()
    concurrencies = [concurrency for concurrency, _ in closed]
    for number, (label, colour) in enumerate(zip(summary.labels, COLOURS, strict=True)):
        rates = [(rate.first, rate.second)[number] for _, rate in closed]
        axes.plot(concurrencies, rates, color=colour, marker="o", label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(concurrencies, [str(each) for each in concurrencies])
    axes.set(xlabel="concurrency", ylabel="requests a second", ylim=(0, None))
    return _finish(figure, axes)


def breakdown(labels: tuple[str, str], load: LoadSummary) -> str:
    """Milliseconds a request in each step of each model, a bar a model and arm."""
    rows = [
        (f"{model}\n{label}", [spent.per_request(step) * 1000 for step in STEPS])
        for label, arm in zip(labels, load.arms, strict=True)
        for model, spent in sorted(arm.spent.items())
    ]
    figure, axes = _figure(height=0.7 + 0.42 * len(rows))
    left = np.zeros(len(rows))
    for number, step in enumerate(STEPS):
        widths = np.array([steps[number] for _, steps in rows])
        axes.barh(range(len(rows)), widths, left=left, color=STEP_COLOURS[number], label=step.replace("_", " "))
        left += widths
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set(xlabel="ms a request")
    return _finish(figure, axes)


def lines(series: Sequence[tuple[str, Sequence[float], Sequence[float]]], x_label: str, y_label: str) -> str:
    """Several lines over a logarithmic axis of batch sizes."""
    figure, axes = _figure(height=3.4)
    for number, (label, x, y) in enumerate(series):
        axes.plot(x, y, marker="o", markersize=3, color=f"C{number}", label=label)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, None))
    return _finish(figure, axes)


@dataclass(frozen=True)
class Curve:
    """What is drawn of one arm against its rate.

    Attributes:
        label: what the arm is called.
        latency: by percentile, rates and milliseconds.
        goodput: rates, and answers within the bound a second.
        capacity: low end, value and high end of the rate at which the bound holds; None if not known.
    """

    label: str
    latency: Mapping[str, Sequence[tuple[float, float]]]
    goodput: Sequence[tuple[float, float]]
    capacity: tuple[float, float, float] | None


LINES = (":", "-", "--")
BEYOND = 2.5
"""Times the bound at which an axis of latencies ends: a queue that grows has no height of its own."""


def latency_against_rate(curves: Sequence[Curve], bound_ms: float) -> str:
    """Percentiles of each arm, with the bound across and the capacity as a band."""
    figure, axes = _figure(height=3.4)
    axes.axhline(bound_ms, color="#777777", linewidth=1)
    axes.annotate(
        f"bound, {bound_ms:g} ms", (0.01, bound_ms), xycoords=("axes fraction", "data"), va="bottom", fontsize=8
    )
    for curve, colour in zip(curves, COLOURS, strict=False):
        for (name, points), line in zip(curve.latency.items(), LINES, strict=False):
            if points:
                axes.plot(*zip(*points, strict=True), line, color=colour, marker=".", label=f"{curve.label}, {name}")
        _band(axes, curve, colour)
    axes.set(xlabel="requests a second", ylabel="latency, ms", ylim=(0, BEYOND * bound_ms))
    return _finish(figure, axes)


def goodput_against_rate(curves: Sequence[Curve]) -> str:
    """Answers within the bound a second; on the diagonal every request has one."""
    figure, axes = _figure(height=3.4)
    top = max(rate for curve in curves for rate, _ in curve.goodput)
    axes.plot([0, top], [0, top], color="#999999", linewidth=0.8)
    for curve, colour in zip(curves, COLOURS, strict=False):
        axes.plot(*zip(*curve.goodput, strict=True), color=colour, marker=".", label=curve.label)
        _band(axes, curve, colour)
    axes.set(xlabel="requests a second", ylabel="answered within the bound, a second", xlim=(0, None), ylim=(0, None))
    return _finish(figure, axes)


def _band(axes: Axes, curve: Curve, colour: str) -> None:
    if curve.capacity is not None:
        low, rate, high = curve.capacity
        axes.axvspan(low, high, color=colour, alpha=0.15, linewidth=0)
        axes.axvline(rate, color=colour, linewidth=1)


def _figure(height: float = 2.9) -> tuple[Figure, Axes]:
    """As wide as a phone at the size of its text, so that nothing has to be shrunk there."""
    figure = Figure(figsize=(4.7, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure: Figure, axes: Axes) -> str:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2, frameon=False, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(8.5)
    axes.yaxis.label.set_fontsize(8.5)
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "readability", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    _, _, svg = written.getvalue().partition("<svg")
    return _with_ids_of_its_own(f"<svg{svg}")


def as_file(svg: str) -> str:
    """A picture for a file of its own."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg}'


def _with_ids_of_its_own(svg: str) -> str:
    """Several pictures stand on one page, where an id may occur once."""
    number = next(_numbers)
    used = set(re.findall(r'(?:url\(|href=")#([\w.-]+)', svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda id_: f' id="p{number}-{id_[1]}"' if id_[1] in used else "", svg)
    return re.sub(r'(url\(|href=")#', rf"\1#p{number}-", svg)
