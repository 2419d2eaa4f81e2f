"""What a browser asks for, read from JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from readability_triton.client.errors import InvalidRequestError

Parameter = str | float

LONGEST_TEXT = 100_000
"""Characters; some 100 passages, which two cores score in two seconds."""

LARGEST_NUMBER = 2**53
"""In a setting: whatever is larger has no exact place in JSON, nor in the protocol of Triton."""


@dataclass(frozen=True)
class Asked:
    """A request for scores.

    Attributes:
        text: what to score; not only white space.
        weight: share of the encoder, in [0, 1]; None for the fitted one.
        policy: of `bls_pipeline`; empty for the model's own.
        settings: of the policy.
    """

    text: str
    weight: float | None = None
    policy: str = ""
    settings: Mapping[str, Parameter] = field(default_factory=dict)

    @classmethod
    def of(cls, body: bytes) -> "Asked":
        """Read a JSON object with these fields, of which `text` is required.

        Raises:
            InvalidRequestError: if it is none, or a field is of another type or range; the message names it.
        """
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError(f"the request is not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise InvalidRequestError("the request is not a JSON object")
        if unknown := fields.keys() - {"text", "weight", "policy", "settings"}:
            raise InvalidRequestError(f"the request has unknown fields: {', '.join(sorted(unknown))}")
        return cls(
            checked_text(fields.get("text")),
            _weight(fields.get("weight")),
            _policy(fields.get("policy", "")),
            _settings(fields.get("settings", {})),
        )

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Request parameters for `bls_pipeline`."""
        return {"policy": self.policy, **self.settings} if self.policy else dict(self.settings)


def checked_text(text: Any) -> str:
    """The text, if it is one that can be scored.

    Raises:
        InvalidRequestError: if it is none, is empty, too long, or cannot be written as UTF-8.
    """
    if not isinstance(text, str):
        raise InvalidRequestError("text is missing, or not a string")
    if not text.strip():
        raise InvalidRequestError("There is no text yet: type or paste one, or open a file.")
    if len(text) > LONGEST_TEXT:
        raise InvalidRequestError(
            f"The text has {len(text):,} characters, and this page takes {LONGEST_TEXT:,}: "
            "`readability score FILE` takes texts of any length."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(f"text cannot be written as UTF-8: {error.reason} at {error.start}") from error
    return text


def _weight(weight: Any) -> float | None:
    if weight is None:
        return None
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
        raise InvalidRequestError(f"weight is a number from 0 to 1, not {weight!r}")
    return float(weight)


def _policy(policy: Any) -> str:
    if not isinstance(policy, str):
        raise InvalidRequestError(f"policy is a name, not {policy!r}")
    return policy


def _settings(settings: Any) -> dict[str, Parameter]:
    if not isinstance(settings, dict):
        raise InvalidRequestError("settings is not a JSON object")
    for name, value in settings.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER
        if name == "policy" or not (is_number or isinstance(value, str)):
            raise InvalidRequestError(f"setting {name} is a string or a number up to {LARGEST_NUMBER}, not {value!r}")
    return dict(settings)
