"""Show results: a table for people, JSON for programs."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from readability_triton.faults.result import Result
from readability_triton.faults.verdict import Kind


def as_table(results: Sequence[Result]) -> Table:
    """A row a fault."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("fault", no_wrap=True)
    for column in ("sent", "right", "degraded", "errors", "wrong", "no answer", "recovered"):
        table.add_column(column, justify="right")
    for result in results:
        style = "bold red" if result.failed else "dim" if result.skipped else None
        counts = [str(result.counts[kind]) for kind in Kind] if not result.skipped else ["skipped", "", "", "", ""]
        sent = str(result.sent) if not result.skipped else ""
        table.add_row(result.fault, sent, *counts, _seconds(result.recovery_s), style=style)
    return table


def remarks(results: Sequence[Result]) -> list[str]:
    """A line for each promise that was not kept, each skipped fault, and each kind of error that clients got."""
    lines = []
    for result in results:
        lines += [f"{result.fault}: NOT AS PROMISED: {promise}" for promise in result.broken]
        lines += [f"{result.fault}: skipped: {result.skipped}"] if result.skipped else []
        lines += [f"{result.fault}: {count} {error}" for error, count in result.errors.most_common()]
        lines += [f"{result.fault}: {note}" for note in result.notes]
    return lines


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Everything that is known of each fault."""
    return [
        {
            "fault": result.fault,
            "sent": result.sent,
            **{kind.value: result.counts[kind] for kind in Kind},
            "errors": dict(result.errors),
            "recovery_s": result.recovery_s,
            "broken": result.broken,
            "notes": list(result.notes),
            "skipped": result.skipped,
            "seconds": round(result.seconds, 1),
        }
        for result in results
    ]


def _seconds(recovery_s: float | None) -> str:
    return "" if recovery_s is None else f"{recovery_s:.1f} s"
