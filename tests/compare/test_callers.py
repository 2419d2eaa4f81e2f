"""Which outputs are asked for: those that both arms give and that must be the same."""

import asyncio
from typing import Any

import pytest

from readability_triton.compare.arm import parse_arm
from readability_triton.compare.callers import outputs_to_request

OUTPUTS = {
    "ensemble_all": ["SCORE"],
    "bls_pipeline": ["SCORE", "ROUTE", "SPANS"],
    "desk": ["urgency", "topic"],
    "desk_bls": ["urgency", "topic", "SPANS"],
    "spans": ["SPANS"],
}


class Client:
    """Knows models and their outputs."""

    async def get_model_metadata(self, model: str, as_json: bool) -> dict[str, Any]:
        return {"outputs": [{"name": name} for name in OUTPUTS[model]]}


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        (["ensemble_all", "bls_pipeline"], ["SCORE"]),
        (["bls_pipeline", "bls_pipeline?policy=parallel"], ["SCORE"]),
        (["hybrid", "bls_pipeline"], ["SCORE"]),
        (["desk", "desk_bls"], ["topic", "urgency"]),
        (["desk_bls", "desk_bls"], ["topic", "urgency"]),
        (["desk_bls"], ["topic", "urgency"]),
        (["desk", "ensemble_all"], None),
        (["spans"], None),
    ],
    ids=str,
)
def test_shared_outputs_are_requested_but_spans_which_differ_each_time(arms: list[str], expected) -> None:
    assert asyncio.run(outputs_to_request([parse_arm(arm) for arm in arms], Client())) == expected
