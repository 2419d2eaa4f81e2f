"""What can be compared: a model on a Triton server, with request parameters if wanted, or `hybrid`."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

HYBRID = "hybrid"
Parameter = bool | int | float | str


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        label: what tables call it; no two arms of a comparison share one.
        model: a model's name on the server, or `hybrid`.
        parameters: request parameters that every request carries.
    """

    label: str
    model: str
    parameters: tuple[tuple[str, Parameter], ...] = ()


def parse_arm(text: str) -> Arm:
    """Read `model` or `model?name=value&name=value`, values being true, false, numbers or else strings.

    Raises:
        ValueError: if there is no model, a parameter without a value, or parameters for `hybrid`, which sends none on.
    """
    model, mark, query = text.partition("?")
    if not model:
        raise ValueError(f"{text!r} names no model; an arm is MODEL or MODEL?PARAMETER=VALUE&…")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if mark else []
    if pairs and model == HYBRID:
        raise ValueError(f"{HYBRID} takes no request parameters")
    return Arm(text, model, tuple((name, _value(value)) for name, value in pairs))


def two_arms(first: str, second: str) -> tuple[Arm, Arm]:
    """Two arms; if both are the same text, as in an A/A test, their labels get (A) and (B).

    Raises:
        ValueError: see `parse_arm`.
    """
    one, other = parse_arm(first), parse_arm(second)
    if one.label != other.label:
        return one, other
    return Arm(f"{first} (A)", one.model, one.parameters), Arm(f"{second} (B)", other.model, other.parameters)


def _value(text: str) -> Parameter:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
