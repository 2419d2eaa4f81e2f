"""Which policy a request is for, and with what settings: its parameters against the policies' own signatures."""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from readability_triton.bls import policies
from readability_triton.bls.batch import Outcome

Parameter = bool | int | float | str


class RequestError(ValueError):
    """A request as a whole is not valid; the message says why."""


class PolicyError(RequestError):
    """A request names no policy, or gives one a parameter that it does not take; the message says what it may be."""


@dataclass(frozen=True, eq=False)
class Policy:
    """A coroutine of `readability_triton.bls.policies`, found by its file's name; there is one object for each.

    Attributes:
        name: the file's and the coroutine's.
        run: takes stages and a batch, and its settings by keyword.
        settings: the types of its keyword-only arguments.
    """

    name: str
    run: Callable[..., Awaitable[Outcome]]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """A policy with its settings."""

    policy: Policy
    settings: tuple[tuple[str, Parameter], ...] = ()


DEFAULT = "parallel"


def policy_names() -> list[str]:
    """The policies that there are: a file each in `bls/policies`."""
    return sorted(module.name for module in pkgutil.iter_modules(policies.__path__))


@cache
def find_policy(name: str) -> Policy:
    """The policy of this name.

    Raises:
        PolicyError: if there is none.
    """
    if name not in policy_names():
        raise PolicyError(f"no policy {name!r}; there are {', '.join(policy_names())}")
    module = importlib.import_module(f"readability_triton.bls.policies.{name}")
    run = getattr(module, name)
    hints = get_type_hints(run)
    named = [each for each in inspect.signature(run).parameters.values() if each.kind is inspect.Parameter.KEYWORD_ONLY]
    return Policy(name, run, {each.name: hints[each.name] for each in named})


def choose(parameters: Mapping[str, Parameter], defaults: Mapping[str, str]) -> Choice:
    """What a request asks for.

    Args:
        parameters: the request's own; `policy` names one, the others are its settings.
        defaults: the model's configuration parameters, used where the request is silent and the policy takes them.

    Raises:
        PolicyError: for an unknown policy, an unknown parameter, or a value that does not have the type of the policy's
            signature.
    """
    policy = find_policy(str(parameters.get("policy", defaults.get("policy", DEFAULT))))
    given = {name: value for name, value in parameters.items() if name != "policy"}
    for name in given:
        if name not in policy.settings:
            raise PolicyError(f"policy {policy.name} takes no parameter {name!r}; it takes {_listed(policy)}")
    known = {name: defaults[name] for name in policy.settings if name in defaults} | given
    settings = ((name, _value(name, value, policy.settings[name])) for name, value in sorted(known.items()))
    return Choice(policy, tuple(settings))


def _listed(policy: Policy) -> str:
    return ", ".join(policy.settings) or "none"


def _value(name: str, value: Parameter, kind: Any) -> Parameter:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise PolicyError(f"parameter {name} is one of {', '.join(get_args(kind))}, not {value!r}")
        return value
    if kind is str:
        if not isinstance(value, str):
            raise PolicyError(f"parameter {name} is a string, not {value!r}")
        return value
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number) or number < 0:
        raise PolicyError(f"parameter {name} is a number of at least 0, not {value!r}")
    return number
