"""The log line of an answer that is not what was asked for."""

import json
from collections import Counter

from readability_triton.bls.batch import Outcome


def log_line(policy: str, request_id: str, outcome: Outcome) -> str | None:
    """A JSON object on one line, or None if every row is as asked for.

    Its fields: `event` ("degraded"), `policy`, `request_id`, `rows` (of the request), and `reasons`, each with the
    number of rows that it holds for.
    """
    reasons = Counter(filter(None, outcome.reasons.ravel()))
    if not reasons:
        return None
    line = {"event": "degraded", "policy": policy, "request_id": request_id, "rows": len(outcome), "reasons": reasons}
    return json.dumps(line, sort_keys=True)
