"""The policies of `bls_pipeline` as the page shows them: a new file in `bls/policies` appears here by itself."""

import inspect
from typing import Any, Literal, get_args, get_origin

from readability_triton.bls.policy import Policy, find_policy, policy_names


def policies_as_json() -> list[dict[str, Any]]:
    """Name, first line of the description, and settings of each policy, in alphabetical order."""
    return [_policy(find_policy(name)) for name in policy_names()]


def _policy(policy: Policy) -> dict[str, Any]:
    description = (inspect.getdoc(policy.run) or "").partition("\n")[0]
    signature = inspect.signature(policy.run).parameters
    settings = [_setting(name, kind, signature[name].default) for name, kind in policy.settings.items()]
    return {"name": policy.name, "description": description, "settings": settings}


def _setting(name: str, kind: Any, default: Any) -> dict[str, Any]:
    """`choices` is empty for a number, and for a string that may be anything."""
    choices = list(get_args(kind)) if get_origin(kind) is Literal else []
    return {"name": name, "default": default, "choices": choices}
