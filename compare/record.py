"""A comparison as JSON: every sample, every figure, and the environment."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from readability_triton.compare.conclusions import cautions, conclusions
from readability_triton.compare.experiment import Outcome
from readability_triton.compare.summary import Summary
from readability_triton.compare.workload import Workload


def as_json(outcome: Outcome, summary: Summary, workload: Workload, environment: Mapping[str, Any]) -> str:
    """An object with `arms`, `conclusions`, `cautions`, `summary`, `workload`, `environment` and `samples`.

    `samples` has a list for each load, of a list for each arm, of blocks; times are seconds since the block began.
    """
    samples = [[[_block(block) for block in blocks] for blocks in each.blocks] for each in outcome.measured]
    record = {
        "arms": [asdict(arm) for arm in outcome.arms],
        "conclusions": conclusions(summary),
        "cautions": cautions(summary),
        "summary": _summary(summary),
        "workload": {"source": workload.source, "requests": len(workload.requests), "tokens": workload.tokens},
        "environment": environment,
        "samples": samples,
    }
    return json.dumps(record, indent=1, default=_plain)


def _summary(summary: Summary) -> dict[str, Any]:
    found = asdict(summary) | {"same_answers": summary.agreement.same}
    if math.isinf(summary.agreement.largest):  # JSON has no word for it
        found["agreement"]["largest"] = "infinite"
    return found


def _block(block: Any) -> dict[str, Any]:
    return {
        "seconds": block.seconds,
        "client_seconds": block.client_seconds,
        "unsent": block.unsent,
        "beside": block.beside,
        "samples": [
            [sample.request, *(round(at, 7) for at in (sample.due, sample.sent, sample.done)), sample.error]
            for sample in block.samples
        ],
    }


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):  # numbers of NumPy
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")
