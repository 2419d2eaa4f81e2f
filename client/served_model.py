"""What the configuration of a served pipeline says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from readability_triton.client.errors import ReadabilityError


@dataclass(frozen=True)
class ServedModel:
    """The parts of a served pipeline's configuration that a client needs.

    Attributes:
        name: the model's name.
        max_batch_size: rows that one request may have.
        bert_weight: the blend weight fitted in training, or None if the configuration has none.
        target_quantiles: evenly spaced quantiles of the training scores, least to greatest; may be empty.
    """

    name: str
    max_batch_size: int
    bert_weight: float | None
    target_quantiles: tuple[float, ...]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ServedModel":
        """Read a model configuration as HTTP gives it, or as gRPC gives it as JSON."""
        config = config.get("config", config)
        parameters = {key: value.get("string_value", "") for key, value in config.get("parameters", {}).items()}
        weight = parameters.get("bert_weight")
        return cls(
            config["name"],
            int(config.get("max_batch_size", 0)),
            float(weight) if weight else None,
            tuple(map(float, parameters.get("target_quantiles", "").split())),
        )

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
