"""Reduce a CustomResourceDefinition to a JSON schema that a test can hold a manifest against.

    python tests/schemas/reduce.py CRD.yaml VERSION [PATH ...] > schema.json

Left out: descriptions, defaults, rules in CEL. Unknown fields are refused, and so are the fields at each PATH, such as
`spec.predictor.sklearn`, lists passed through: what no manifest of ours says needs no schema.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

LEFT_OUT = ("description", "default")


def reduced(schema: Any) -> Any:
    """A schema with what a check needs, in which objects of known fields allow no others."""
    if isinstance(schema, list):
        return [reduced(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in LEFT_OUT and not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        kept.pop("anyOf", None)
        kept["type"] = ["integer", "string"]
    properties = kept.pop("properties", None)
    kept = {key: reduced(value) for key, value in kept.items()}
    if properties:
        kept["properties"] = {name: reduced(value) for name, value in properties.items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
    return kept


def without(schema: dict[str, Any], path: list[str]) -> None:
    """Remove the field at a path."""
    for name in path[:-1]:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    del schema["properties"][path[-1]]


def main() -> None:
    """Print the reduced schema of a version."""
    file, wanted, *paths = sys.argv[1:]
    with Path(file).open(encoding="utf-8") as opened:
        (version,) = (each for each in yaml.safe_load(opened)["spec"]["versions"] if each["name"] == wanted)
    schema = version["schema"]["openAPIV3Schema"]
    for path in paths:
        without(schema, path.split("."))
    schema = reduced(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    print(json.dumps(schema, separators=(",", ":"), sort_keys=True))


if __name__ == "__main__":
    main()
