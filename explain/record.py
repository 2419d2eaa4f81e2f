"""Waterfalls and profiles as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from readability_triton.explain.chart import hops_share
from readability_triton.explain.profile import PARTS, Means, Profile, Seen, Summary
from readability_triton.explain.waterfall import Waterfall


def as_json(drawn: Sequence[Waterfall | Profile]) -> str:
    """A list with an object for each; docs/explain.md describes them."""
    described = [_waterfall(each) if isinstance(each, Waterfall) else _profile(each) for each in drawn]
    return json.dumps(described, indent=1, ensure_ascii=False, default=list) + "\n"


def _waterfall(waterfall: Waterfall) -> dict[str, Any]:
    return {
        "model": waterfall.model,
        "total_ms": waterfall.total_ms,
        "source": waterfall.source,
        "notes": waterfall.notes,
        "spans": [asdict(span) for span in waterfall.spans],
        "critical_path": [asdict(segment) for segment in waterfall.path],
        "shares": waterfall.shares(),
        "hops_share": hops_share(waterfall),
        "waits": [asdict(wait) for wait in waterfall.waits],
        "slack_ms": waterfall.slack_ms,
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "model": profile.model,
        "answered": profile.answered,
        "explained": profile.explained,
        "errors": profile.errors,
        "total_ms": {f"p{each}": ms for each, ms in profile.total_ms.items()},
        "source": profile.source,
        "notes": profile.notes,
        "models": [_summary(summary) for summary in profile.models],
        "hops": profile.hops,
        "hops_ms": profile.hops_ms,
        "typical": _waterfall(profile.typical),
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "model": summary.name,
        "called_from": summary.key[:-1],
        "kind": summary.kind,
        "seen": summary.seen,
        "on_path": summary.on_path,
        "path_share": summary.path_share,
        "mean_path_ms": summary.means.path_ms,
        "mean_busy_ms": summary.means.busy_ms,
        "p50": _seen(summary.p50),
        "p90": _seen(summary.p90),
    }


def _seen(seen: Seen) -> dict[str, Any]:
    numbers = {
        "start_ms": seen.start,
        "end_ms": seen.end,
        "busy_ms": seen.busy,
        "on_path_ms": seen.on_path,
        "calls": seen.calls,
    }
    return numbers | {f"{part}_ms": ms for part, ms in zip(PARTS, seen.parts, strict=True)}


def read_means(text: str, model: str, where: str) -> dict[str, Means]:
    """What an earlier profile of a model says of each model on the way.

    Args:
        text: as `as_json` wrote it.
        model: that was explained.
        where: the file's name, for errors.

    Raises:
        ValueError: if it is none, or has no profile of the model.
    """
    try:
        profiles = [each for each in json.loads(text) if each["model"] == model and "models" in each]
        if not profiles:
            raise ValueError(f"{where} has no profile of {model}")
        means: dict[str, Means] = {}
        for each in profiles[0]["models"]:
            known = means.get(each["model"], Means(0.0, 0.0))
            path_ms, busy_ms = float(each["mean_path_ms"]), float(each["mean_busy_ms"])
            means[each["model"]] = Means(known.path_ms + path_ms, known.busy_ms + busy_ms)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{where} is not what --json writes: {error!r}") from error
    return means
