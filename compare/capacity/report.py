"""Capacity as tables in a terminal of 80 columns, as JSON, and as one HTML file that opens offline."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from readability_triton.compare import charts
from readability_triton.compare.capacity.conclusions import answers_agree, cautions, conclusions, ratio
from readability_triton.compare.capacity.probe import Probe
from readability_triton.compare.capacity.probing import ArmProbed, Outcome
from readability_triton.compare.capacity.slo import Slo
from readability_triton.compare.conclusions import milliseconds
from readability_triton.compare.environment import to_json
from readability_triton.compare.page import PAGES
from readability_triton.compare.workload import Workload


def columns(slo: Slo) -> list[str]:
    """What `rows` has."""
    percentiles = sorted({50.0, slo.percentile, 99.0})
    return ["requests/s", *(f"p{each:g} ms" for each in percentiles), "over", "goodput/s", "requests"]


def rows(arm: ArmProbed, slo: Slo) -> Iterator[tuple[str, ...]]:
    """The curve of an arm: a probe a row, by rate. A percentile that there were too few requests for is left out."""
    percentiles = sorted({50.0, slo.percentile, 99.0})
    for probe in sorted(arm.probes, key=lambda each: each.rate):
        shown = (milliseconds(probe.latency[each]) if each in probe.latency else "" for each in percentiles)
        counted = sum(segment.requests for segment in probe.exceeded.segments)
        yield f"{probe.rate:.3g}", *shown, f"{probe.exceeded.share:.1%}", f"{probe.goodput:.3g}", str(counted)


def as_table(outcome: Outcome, about: Sequence[str], tolerance: float) -> RenderableType:
    """The curve of each arm, then the sentences; `about` are lines to begin with."""
    parts: list[RenderableType] = [*map(Text, about)]
    for arm in outcome.arms:
        parts.append(Text(f"\n{arm.arm.label}", style="bold"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns(outcome.slo):
            table.add_column(column, justify="right", no_wrap=True)
        for row in rows(arm, outcome.slo):
            table.add_row(*row)
        parts += [table] if arm.probes else []
        parts += [Text(f"{client_share(arm)[0].upper()}{client_share(arm)[1:]}.")] if arm.probes else []
    parts.append(Text(""))
    parts += [Text(f"• {sentence}") for sentence in conclusions(outcome, tolerance)]
    parts += [Text(f"! {sentence}") for sentence in cautions(outcome)]
    return Group(*parts)


def client_share(arm: ArmProbed) -> str:
    """What the client took for itself, in words."""
    return f"the client took at most {max(probe.client_share for probe in arm.probes):.1%} of the machine"


def as_json(outcome: Outcome, tolerance: float, workload: Workload, environment: Mapping[str, Any]) -> str:
    """An object with `slo`, `arms`, `ratio`, `conclusions`, `cautions`, `workload` and `environment`.

    Each of `arms` has its capacity in requests a second with a 95 % interval, or null, and its curve; latencies are
    milliseconds.
    """
    compared = ratio(outcome)
    agreed = answers_agree(outcome, tolerance)
    record = {
        "slo": asdict(outcome.slo),
        "arms": [_arm(arm) for arm in outcome.arms],
        "ratio": None if compared is None else asdict(compared),
        "same_answers": None if agreed is None else agreed.same,
        "incomplete": outcome.incomplete,
        "conclusions": conclusions(outcome, tolerance),
        "cautions": cautions(outcome),
        "workload": {"source": workload.source, "requests": len(workload.requests), "tokens": workload.tokens},
        "environment": environment,
    }
    return json.dumps(record, indent=1)


def _arm(arm: ArmProbed) -> dict[str, Any]:
    found = arm.found
    return {
        "label": arm.arm.label,
        "capacity": asdict(found.interval) if found.is_known and found.interval is not None else None,
        "held": found.held,
        "failed": found.failed,
        "holds_for_one_request_at_a_time": arm.holds_lightly,
        "one_at_a_time_p50_ms": None if math.isnan(arm.light) else 1000 * arm.light,
        "throughput": arm.throughput,
        "curve": [_probe(probe) for probe in sorted(arm.probes, key=lambda each: each.rate)],
    }


def _probe(probe: Probe) -> dict[str, Any]:
    return {
        "rate": probe.rate,
        "latency_ms": {f"p{percentile:g}": 1000 * seconds for percentile, seconds in probe.latency.items()},
        "share_over": probe.exceeded.share,
        "goodput": probe.goodput,
        "segments": [[each.requests, each.exceeded] for each in probe.exceeded.segments],
        "unsent": probe.unsent,
        "errors": dict(probe.errors),
        "lag_ms": probe.lag_ms,
        "client_share": probe.client_share,
        "seconds": probe.seconds,
    }


def curves(outcome: Outcome) -> list[charts.Curve]:
    """What the pictures show of each arm."""
    return [_curve(arm, outcome.slo) for arm in outcome.arms if arm.probes]


def _curve(arm: ArmProbed, slo: Slo) -> charts.Curve:
    probes = sorted(arm.probes, key=lambda each: each.rate)
    percentiles = sorted({50.0, slo.percentile, 99.0})
    latency = {
        f"p{each:g}": [(probe.rate, 1000 * probe.latency[each]) for probe in probes if each in probe.latency]
        for each in percentiles
    }
    interval = arm.found.interval if arm.found.is_known else None
    band = None if interval is None else (interval.low, interval.rate, interval.high)
    return charts.Curve(arm.arm.label, latency, [(probe.rate, probe.goodput) for probe in probes], band)


def as_html(outcome: Outcome, about: Sequence[str], tolerance: float, environment: Mapping[str, Any]) -> str:
    """The report; `about` are lines on where it was measured and with what."""
    drawn = curves(outcome)
    bound = 1000 * outcome.slo.seconds
    agreed = answers_agree(outcome, tolerance)
    return PAGES.get_template("capacity.html.j2").render(
        title=f"Capacity with {outcome.slo}",
        about=about,
        same=agreed is None or agreed.same,
        slo=str(outcome.slo),
        conclusions=conclusions(outcome, tolerance),
        cautions=cautions(outcome),
        columns=columns(outcome.slo),
        arms=[(arm.arm.label, list(rows(arm, outcome.slo)), client_share(arm)) for arm in outcome.arms if arm.probes],
        charts=[
            ("Latency against rate", charts.latency_against_rate(drawn, bound)),
            ("Answered within the bound, against rate", charts.goodput_against_rate(drawn)),
        ]
        if drawn
        else [],
        environment=to_json(environment),
    )
