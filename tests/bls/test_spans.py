"""Where the time of a request went, as the pipeline itself notes it."""

import asyncio
import json
from itertools import pairwise

from readability_triton.bls.batch import OUTPUTS
from readability_triton.bls.orchestrator import Orchestrator
from readability_triton.bls.settings import Settings
from readability_triton.bls.tally import Tally
from tests.bls.models import REPOSITORY, Models, request

CALLED = {"fold": "none", "slice_rows": "bert-large=2,*=4", "calls_in_flight": "bert-large=1,*=3", "chunk_rows": "4"}


def test_every_row_is_in_one_call_of_each_stage_between_arrival_and_answer(loop) -> None:
    answers = []
    pipeline = Orchestrator({}, Settings.read(CALLED, on_gpu=False), REPOSITORY, Models(), Tally())
    asked = request(*[b"A hen."] * 10)
    loop.call_soon(lambda: pipeline.accept(asked, answers.append))
    loop.run(asyncio.sleep(1e-6))
    loop.end_all()
    (outcome,) = answers
    first, *others = OUTPUTS["SPANS"](outcome).ravel().tolist()
    assert others == [b""] * 9
    noted = json.loads(first)
    assert noted.keys() == {"arrived_ns", "answered_ms", "calls"}
    for stage in ("preprocess", "bert-large", "cuml"):
        calls = [call for call in noted["calls"] if call["stage"] == stage]
        assert sum(call["rows"] for call in calls) == 10
        assert all(
            0 <= call["queued_ms"] <= call["start_ms"] <= call["end_ms"] <= noted["answered_ms"] for call in calls
        )
    encoder = sorted((call["start_ms"], call["end_ms"]) for call in noted["calls"] if call["stage"] == "bert-large")
    assert all(one[1] <= other[0] for one, other in pairwise(encoder))  # one call in flight
