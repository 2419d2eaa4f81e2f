"""What the configuration of a served pipeline says of it."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from readability_triton.client.errors import ReadabilityError
from readability_triton.stages.cefr import LevelLine
from readability_triton.stages.interval import IntervalTable

ROUTING = ("ROUTE", "DEGRADED")
"""Outputs of `bls_pipeline` that say by which way a row was answered; made only if requested."""

FLAGS, GUARD = "FLAGS", "guard"
"""The output that says what makes a score doubtful, and the policy that fills it."""


@dataclass(frozen=True)
class ServedModel:
    """The parts of a served pipeline's configuration that a client needs.

    Attributes:
        name: the model's name.
        max_batch_size: rows that one request may have.
        bert_weight: the blend weight fitted in training, or None if the configuration has none.
        target_quantiles: evenly spaced quantiles of the training scores, least to greatest; may be empty.
        intervals: how far a score may lie from what people would say; None if the configuration has no such table.
        level_line: from scores to CEFR levels; None if the configuration has none.
        outputs: names of the tensors that the model gives.
        policy: of requests that name none; empty for a model without policies.
    """

    name: str
    max_batch_size: int
    bert_weight: float | None
    target_quantiles: tuple[float, ...]
    intervals: IntervalTable | None = None
    level_line: LevelLine | None = None
    outputs: Set[str] = frozenset()
    policy: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ServedModel":
        """Read a model configuration as HTTP gives it, or as gRPC gives it as JSON."""
        config = config.get("config", config)
        parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
        weight, table, line = (parameters.get(name) for name in ("bert_weight", "interval", "level_line"))
        return cls(
            config["name"],
            int(config.get("max_batch_size", 0)),
            float(weight) if weight else None,
            tuple(map(float, parameters.get("target_quantiles", "").split())),
            IntervalTable.from_text(table) if table else None,
            LevelLine(*map(float, line.split())) if line else None,
            frozenset(output["name"] for output in config.get("output", ())),
            parameters.get("policy", ""),
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether the configuration says how to find intervals or levels."""
        return self.intervals is not None or self.level_line is not None

    @property
    def reports_routes(self) -> bool:
        """Whether the model may answer by several ways, and says by which it did."""
        return self.outputs >= set(ROUTING)

    def reports_flags(self, policy: str) -> bool:
        """Whether the model checks texts under this policy, or its own where that is empty, and says what it found."""
        return FLAGS in self.outputs and (policy or self.policy) == GUARD

    def level(self, score: float) -> str | None:
        """The CEFR level nearest to a score, such as `B1`; None if the configuration has no line."""
        return None if self.level_line is None else self.level_line.name(score)

    def percentile(self, score: float) -> float | None:
        """Share of training excerpts, in percent, that are at most as easy as a text with this score."""
        if not self.target_quantiles:
            return None
        percentile = np.interp(score, self.target_quantiles, np.linspace(0, 100, len(self.target_quantiles)))
        return min(float(percentile), 100.0)  # interpolation may round just above it

    def weight_or_default(self, bert_weight: Any) -> Any:
        """`bert_weight`, or the model's own where it is None.

        Raises:
            ReadabilityError: if it is None and the configuration has none.
        """
        if bert_weight is not None:
            return bert_weight
        if self.bert_weight is None:
            raise ReadabilityError(f"{self.name} has no blend weight in its configuration: pass bert_weight")
        return self.bert_weight
