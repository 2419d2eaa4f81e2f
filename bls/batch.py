"""Input and output of a policy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from readability_triton.bls.spans import Spans
from readability_triton.bls.stages import Tensor
from readability_triton.stages.arrays import as_array, to_host
from readability_triton.stages.blend import blend

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """B excerpts of one request: all of them, or a chunk of a long one.

    Attributes:
        excerpts: object array [B, 1] of UTF-8 bytes.
        weights: FP32 [B, 1], the share of `bert-large` in each row's score.
        waited_s: seconds since the request arrived.
    """

    excerpts: NDArray[Any]
    weights: Scores
    waited_s: float = 0.0

    def __len__(self) -> int:
        return len(self.excerpts)


@dataclass(frozen=True)
class Outcome:
    """The scores of B rows, and how they came about.

    Attributes:
        scores: FP32 [B, 1].
        bert: what `bert-large` said, FP32 [B, 1]; NaN where it was not asked or did not answer.
        cuml: the same for `cuml`.
        route: object array [B, 1] of UTF-8 bytes, the models whose scores went into each row's.
        reasons: object array [B, 1] of strings: why the row's score is not what was asked for, empty where it is.
        flags: object array [B, 1] of UTF-8 bytes, the row's flags with commas between; None where nobody looked.
        spans: where the time of the whole request went; None where it was not noted.
    """

    scores: Scores
    bert: Scores
    cuml: Scores
    route: NDArray[Any]
    reasons: NDArray[Any] = field(repr=False)
    flags: NDArray[Any] | None = None
    spans: Spans | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.scores)


UNCHECKED = b"unchecked"
"""In place of flags, of a policy that does not look for any: not the same as none."""


def _flags(outcome: Outcome) -> NDArray[Any]:
    return np.full(outcome.scores.shape, UNCHECKED, dtype=object) if outcome.flags is None else outcome.flags


def _spans(outcome: Outcome) -> NDArray[Any]:
    """The spans in the first row: they are the request's, and an output has a row for each of its rows."""
    rows = np.full(outcome.scores.shape, b"", dtype=object)
    if outcome.spans is not None:
        rows[0, 0] = outcome.spans.as_json()
    return rows


OUTPUTS: Mapping[str, Callable[[Outcome], NDArray[Any]]] = {
    "SCORE": lambda outcome: outcome.scores,
    "BERT_SCORE": lambda outcome: outcome.bert,
    "CUML_SCORE": lambda outcome: outcome.cuml,
    "ROUTE": lambda outcome: outcome.route,
    "DEGRADED": lambda outcome: outcome.reasons != "",
    "FLAGS": _flags,
    "SPANS": _spans,
}
"""The tensors of `bls_pipeline` by name; all but the first are made only if they are asked for."""

BOTH, BERT, CUML = "bert-large+cuml", "bert-large", "cuml"
REFUSED = "refused"


def of_both(batch: Batch, bert: Tensor, cuml: Tensor) -> Outcome:
    """Every row has both scores: they are blended."""
    bert, cuml = on_host(bert), on_host(cuml)
    return Outcome(blend(batch.weights, bert, cuml), bert, cuml, *same(len(batch), BOTH))


def of_cuml(cuml: Tensor, reason: str = "") -> Outcome:
    """Every row has the forest's score alone."""
    cuml = on_host(cuml)
    return Outcome(cuml, missing(len(cuml)), cuml, *same(len(cuml), CUML, reason))


def of_bert(bert: Tensor, reason: str = "") -> Outcome:
    """Every row has the encoder's score alone."""
    bert = on_host(bert)
    return Outcome(bert, bert, missing(len(bert)), *same(len(bert), BERT, reason))


def of_refused(kinds: Sequence[str]) -> Outcome:
    """Rows refused for a flag of these kinds: no score, and no model in their route."""
    reasons = [f"refused: {kind}" for kind in kinds]
    route, _ = same(len(kinds), REFUSED)
    scores, bert, cuml = (missing(len(kinds)) for _ in range(3))
    return Outcome(scores, bert, cuml, route, np.array(reasons, dtype=object).reshape(-1, 1))


def with_flags(outcome: Outcome, flags: Sequence[Sequence[str]]) -> Outcome:
    """`outcome` with the flags of each row."""
    rows = [",".join(row).encode() for row in flags]
    return replace(outcome, flags=np.array(rows, dtype=object).reshape(-1, 1))


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcomes of the chunks of a request as one."""
    names = ("scores", "bert", "cuml", "route", "reasons")
    flags = [outcome.flags for outcome in outcomes if outcome.flags is not None]
    whole = Outcome(*(np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in names))
    return replace(whole, flags=np.concatenate(flags)) if flags and len(flags) == len(outcomes) else whole


def without_reasons(outcome: Outcome, exact: NDArray[np.bool_]) -> Outcome:
    """`outcome` without reasons in the rows whose score is exactly what the request asks for, BOOL [B, 1]."""
    return replace(outcome, reasons=np.where(exact, "", outcome.reasons).astype(object))


def same(n_rows: int, route: str, reason: str = "") -> tuple[NDArray[Any], NDArray[Any]]:
    """Route and reason of rows that all went the same way."""
    return (
        np.full((n_rows, 1), route.encode(), dtype=object),
        np.full((n_rows, 1), reason, dtype=object),
    )


def missing(n_rows: int) -> Scores:
    """Scores of a model that did not answer: NaN, FP32 [B, 1]."""
    return np.full((n_rows, 1), np.nan, dtype=np.float32)


def on_host(tensor: Tensor) -> Scores:
    """A score tensor as an array of NumPy."""
    return to_host(as_array(tensor))
