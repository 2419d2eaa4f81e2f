"""The log line of an answer that is not what was asked for."""

import json

import numpy as np

from readability_triton.bls.batch import Outcome, missing
from readability_triton.bls.degraded import log_line


def outcome(*reasons: str) -> Outcome:
    rows = len(reasons)
    return Outcome(missing(rows), missing(rows), missing(rows), missing(rows), np.array(reasons, object)[:, None])


def test_it_is_one_line_of_json_with_all_that_is_known() -> None:
    line = log_line("deadline", "id 7\n", outcome("bert-large late", "", "cuml failed", "bert-large late"))
    assert "\n" not in line
    assert json.loads(line) == {
        "event": "degraded",
        "policy": "deadline",
        "request_id": "id 7\n",
        "rows": 4,
        "reasons": {"bert-large late": 2, "cuml failed": 1},
    }


def test_an_answer_that_is_as_asked_for_is_not_worth_a_line() -> None:
    assert log_line("parallel", "", outcome("", "")) is None
    assert log_line("parallel", "", outcome()) is None
