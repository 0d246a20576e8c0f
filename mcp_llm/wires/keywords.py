"""Which keywords of JSON Schema hold subschemas and which hold data, and rewritings that several subsets need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Schema: TypeAlias = dict[str, Any]

MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
SINGLE: Final = frozenset(
    {
        "items",
        "additionalItems",
        "additionalProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "propertyNames",
        "contains",
        "contentSchema",
        "not",
        "if",
        "then",
        "else",
    }
)
DEFINITIONS: Final = frozenset({"$defs", "definitions"})
ANNOTATIONS: Final = frozenset(
    {
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$schema",
        "$id",
        "$anchor",
        "discriminator",
    }
)
"""Keywords that say nothing about which values are valid."""


def flatten(node: Schema) -> Schema:
    """`allOf` written into the schema around it; the schema as it is where two branches contradict each other."""
    branches = node.get("allOf")
    if not isinstance(branches, list):
        return node
    merged = {key: value for key, value in node.items() if key != "allOf"}
    properties: Schema | None = None
    required: dict[str, None] | None = None
    for branch in branches:
        if branch is True:
            continue
        if not isinstance(branch, dict):
            return node
        for key, value in flatten(branch).items():
            old = merged.get(key)
            if key not in merged:
                merged[key] = value
            elif key == "properties" and isinstance(old, dict) and isinstance(value, dict):
                if any(old[name] != value[name] for name in value if name in old):
                    return node
                if properties is None:  # copied once: there may be thousands of branches
                    properties = merged[key] = dict(old)
                properties.update(value)
            elif key == "required" and is_names(old) and is_names(value):
                if required is None:
                    required = dict.fromkeys(merged[key])
                required.update(dict.fromkeys(value))
            elif old != value and key not in ANNOTATIONS:
                return node
    if required is not None:
        merged["required"] = list(required)
    return merged


def is_names(value: Any) -> bool:
    """Whether it is a list of property names."""
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def walk(node: Schema, visit: Callable[[Schema], Schema]) -> Schema:
    """A copy with `visit` applied to the direct subschemas; data (`enum`, `default` ...) is taken over as it is."""

    def each(child: Any) -> Any:
        return visit(child) if isinstance(child, dict) else child

    out: Schema = {}
    for key, value in node.items():
        if key in MAPS and isinstance(value, dict):
            out[key] = {name: each(child) for name, child in value.items()}
        elif key in LISTS and isinstance(value, list):
            out[key] = [each(child) for child in value]
        else:
            out[key] = each(value) if key in SINGLE else value
    return out


def hinted(out: Schema, limits: Schema) -> Schema:
    """`out` with limits that the vendor does not enforce told to the model in its description."""
    if not limits:
        return out
    words = out.get("description")
    note = "(" + ", ".join(f"{key}: {json.dumps(limits[key], ensure_ascii=False)}" for key in limits) + ")"
    return {**out, "description": f"{words} {note}" if isinstance(words, str) and words else note}


def primitive(value: Any) -> bool:
    """True for null, booleans, numbers and strings."""
    return value is None or isinstance(value, str | int | float)
