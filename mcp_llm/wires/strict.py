"""The strict subset of JSON Schema that OpenAI's wires enforce (wire.md 0.3), and the way back from its nulls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from .keywords import ANNOTATIONS, Schema, flatten, hinted, primitive
from .refs import normal

_MAX_PROPERTIES: Final = 5000
_MAX_ENUM: Final = 1000
_MAX_LEVELS: Final = 10

_REFUSED: Final = frozenset(
    {
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "patternProperties",
        "prefixItems",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
    }
)
_KEPT: Final = frozenset(
    {
        "title",
        "description",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    }
)
_LIMITS: Final = frozenset(
    {
        "minLength",
        "maxLength",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "contains",
        "minContains",
        "maxContains",
        "propertyNames",
        "contentEncoding",
        "contentMediaType",
    }
)
"""Not enforced by the vendor, told in the description."""
_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_LOOKAROUND: Final = re.compile(r"\(\?(?!:)")


class _ImpossibleError(Exception):
    """The schema has no strict form."""


@dataclass(slots=True)
class _Caps:
    nulls: bool
    properties: int = 0
    enums: int = 0

    def check(self, level: int) -> None:
        if self.properties > _MAX_PROPERTIES or self.enums > _MAX_ENUM or level > _MAX_LEVELS:
            raise _ImpossibleError


def to_strict(schema: Schema, *, nulls: bool = True) -> Schema | None:
    """OpenAI's strict subset: closed objects, every property required, optional ones nullable; None when impossible.

    Impossible are a root that is no object, maps with free keys, untyped values, tuples, `not`, conditionals, and
    schemas past the vendor's caps. Lengths and other limits that it does not enforce move into the description.
    Without `nulls` it is also impossible where an optional property does not take null already: then whatever the
    strict form admits, the original does too, limits aside.
    """
    root = normal(schema, keep=True)
    definitions: Schema = root.pop("$defs", {})
    caps = _Caps(nulls)
    try:
        strict = _strict(root, caps, 1)
        if strict.get("type") != "object":
            return None
        if definitions:
            strict["$defs"] = {name: _strict(child, caps, 1) for name, child in definitions.items()}
    except _ImpossibleError:
        return None
    return strict


def _strict(node: Any, caps: _Caps, level: int) -> Schema:
    if not isinstance(node, dict):
        raise _ImpossibleError
    node = flatten(node)
    if "$ref" in node:
        if set(node) - ANNOTATIONS != {"$ref"}:
            raise _ImpossibleError
        return {"$ref": node["$ref"]}
    if not _REFUSED.isdisjoint(node):
        raise _ImpossibleError
    branches = node.get("anyOf", node.get("oneOf"))
    out: Schema = {key: value for key, value in node.items() if key in _KEPT}
    if branches is not None:
        if not isinstance(branches, list) or set(node) - ANNOTATIONS - {"nullable"} not in ({"anyOf"}, {"oneOf"}):
            raise _ImpossibleError
        out["anyOf"] = [_strict(branch, caps, level) for branch in branches]
    else:
        out |= _typed(node, caps, level)
    return _nullable(out) if node.get("nullable") is True else out


def _typed(node: Schema, caps: _Caps, level: int) -> Schema:
    out: Schema = {}
    limits = {key: value for key, value in node.items() if key in _LIMITS}
    if "enum" in node:
        values = node["enum"]
        if not isinstance(values, list) or not values or not all(map(primitive, values)):
            raise _ImpossibleError
        caps.enums += len(values)
        out["enum"] = values
    if "const" in node:
        if not primitive(node["const"]):
            raise _ImpossibleError
        out["const"] = node["const"]
    kinds = _kinds(node)
    out["type"] = kinds[0] if len(kinds) == 1 else kinds
    if "object" in kinds:
        out |= _object(node, caps, level)
    if "array" in kinds:
        if not isinstance(node.get("items"), dict):
            raise _ImpossibleError
        out["items"] = _strict(node["items"], caps, level)
    if "pattern" in node:
        # The vendor's regular expressions have no lookaround.
        (limits if _LOOKAROUND.search(str(node["pattern"])) else out)["pattern"] = node["pattern"]
    if "format" in node:
        (out if str(node["format"]) in _FORMATS else limits)["format"] = node["format"]
    words = {"description": node["description"]} if "description" in node else {}
    return hinted({**words, **out}, limits) if limits else out


def _object(node: Schema, caps: _Caps, level: int) -> Schema:
    properties = node.get("properties", {})
    closed = node.get("additionalProperties")
    # An object that names nothing and is not closed means "any object": closed, it could only ever be {}.
    if closed not in (None, False) or not isinstance(properties, dict) or (not properties and closed is None):
        raise _ImpossibleError
    if node.get("unevaluatedProperties", False) is not False:
        raise _ImpossibleError
    required = node.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) and name in properties for name in required):
        raise _ImpossibleError
    caps.properties += len(properties)
    caps.check(level)
    must = set(required)
    strict = {name: _strict(child, caps, level + 1) for name, child in properties.items()}
    filled = {name: child if name in must else _nullable(child) for name, child in strict.items()}
    if not caps.nulls and any(filled[name] is not child for name, child in strict.items()):
        raise _ImpossibleError
    return {
        "properties": filled,
        "required": list(properties),
        "additionalProperties": False,
    }


def _kinds(node: Schema) -> list[str]:
    kind = node.get("type")
    kinds: list[Any]
    if kind is None and "enum" in node:
        kinds = [_kind(value) for value in node["enum"]]
    elif kind is None and "const" in node:
        kinds = [_kind(node["const"])]
    elif kind is None and "properties" in node:
        kinds = ["object"]
    elif kind is None and "items" in node:
        kinds = ["array"]
    else:
        kinds = kind if isinstance(kind, list) else [kind]
    if not kinds or not all(isinstance(word, str) and word in _TYPES for word in kinds):
        raise _ImpossibleError
    return list(dict.fromkeys(kinds))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"


def _nullable(node: Schema) -> Schema:
    """A strict schema that also takes null."""
    if "anyOf" in node:
        has = any(branch.get("type") == "null" for branch in node["anyOf"])
        return node if has else {**node, "anyOf": [*node["anyOf"], {"type": "null"}]}
    if "$ref" in node or "const" in node:
        return {"anyOf": [node, {"type": "null"}]}
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    out = node if "null" in kinds else {**node, "type": [*kinds, "null"]}
    if "enum" in node and None not in node["enum"]:
        out = {**out, "enum": [*node["enum"], None]}
    return out


def without_nulls(value: Any, schema: Schema) -> Any:
    """An answer to the strict form of `schema` as the original means it: nulls of optional properties are left out.

    Only where the original neither requires the property nor takes null for it. Raises `InvalidInput` as `to_strict`.
    """
    root = normal(schema, keep=True)
    return _pruned(value, [root], root)


def _pruned(value: Any, nodes: list[Any], root: Schema) -> Any:
    if not isinstance(value, dict | list):
        return value
    found = _alternatives(nodes, root)
    if isinstance(value, list):
        items = [node["items"] for node in found if "items" in node]
        return [_pruned(item, items, root) for item in value] if items else value
    out = {}
    for key, item in value.items():
        owners = [node for node in found if isinstance(node.get("properties"), dict) and key in node["properties"]]
        children = [node["properties"][key] for node in owners]
        if item is None and owners:
            needed = any(isinstance(node.get("required"), list) and key in node["required"] for node in owners)
            if not needed and not any(_takes_null(child, root) for child in children):
                continue
        out[key] = _pruned(item, children, root) if children else item
    return out


def _alternatives(nodes: list[Any], root: Schema) -> list[Schema]:
    """The schemas themselves and all that they refer to or combine, each once."""
    seen: dict[int, Schema] = {}
    stack = [node for node in reversed(nodes) if isinstance(node, dict)]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        if isinstance(node.get("$ref"), str):
            name = node["$ref"].removeprefix("#/$defs/")
            stack.append(root if name == "#" else root["$defs"][name])
        for key in ("allOf", "anyOf", "oneOf"):
            branches = node.get(key)
            if isinstance(branches, list):
                stack.extend(branch for branch in branches if isinstance(branch, dict))
    return list(seen.values())


def _takes_null(node: Any, root: Schema) -> bool:
    if not isinstance(node, dict):
        return node is True
    return any(
        one.get("nullable") is True
        or (None in one["enum"] if isinstance(one.get("enum"), list) else False)
        or ("const" in one and one["const"] is None)
        or one.get("type") == "null"
        or (isinstance(one.get("type"), list) and "null" in one["type"])
        or one.keys() <= ANNOTATIONS
        for one in _alternatives([node], root)
    )
