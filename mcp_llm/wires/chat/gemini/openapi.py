"""JSON Schema -> the OpenAPI 3.0 subset of `responseSchema` and `parameters`. Loosens what the subset cannot say."""

from __future__ import annotations

import json
from typing import Any, Final

from mcp_llm.wires.schema import to_plain

_KEPT: Final = frozenset(
    {
        "title", "description", "format", "nullable", "minItems", "maxItems", "minLength", "maxLength", "pattern",
        "minimum", "maximum", "minProperties", "maxProperties", "propertyOrdering", "default",
    }
)  # fmt: skip
_FORMATS: Final = {
    "string": frozenset({"enum", "date-time"}),
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
}
_KINDS: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}


def to_openapi(schema: dict[str, Any]) -> dict[str, Any]:
    """Upper-case types, `nullable` for null, text enums; what is recursive becomes an open object."""
    return _node(to_plain(schema))


def _node(node: Any) -> dict[str, Any]:
    if not isinstance(node, dict) or "$ref" in node:
        return {"type": "OBJECT"}
    out: dict[str, Any] = {key: node[key] for key in _KEPT & node.keys()}
    kinds = node.get("type")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
    branches = [branch for branch in node.get("anyOf") or () if isinstance(branch, dict)]
    if "null" in kinds or any(branch.get("type") == "null" for branch in branches):
        out["nullable"] = True
    kinds = [kind for kind in kinds if kind != "null"]
    branches = [branch for branch in branches if branch.get("type") != "null"]
    values = [value for value in node.get("enum") or () if value is not None]
    if len(values) < len(node.get("enum") or ()):
        out["nullable"] = True
    if values and all(isinstance(value, str) for value in values):
        kinds = ["string"]
        if all(values):  # an empty text among them is refused
            out["enum"] = values
    elif values:
        words = ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
        out["description"] = f"{node.get('description', '')} One of: {words}.".strip()
        kinds = kinds or list({_KINDS.get(type(value), "object"): None for value in values})
    if len(branches) == 1:
        return {**_node(branches[0]), **out}
    if branches:
        out["anyOf"] = [_node(branch) for branch in branches]
    elif len(kinds) > 1:
        bare = {key: value for key, value in node.items() if key not in ("title", "description", "default", "enum")}
        out.pop("format", None)
        return {**out, "anyOf": [_node({**bare, "type": kind}) for kind in kinds]}
    kind = kinds[0] if kinds else "object" if "properties" in node else "array" if "items" in node else None
    if kind is not None:
        out["type"] = kind.upper()
    if out.get("format") not in _FORMATS.get(kind or "", ()):
        out.pop("format", None)
    if isinstance(node.get("properties"), dict) and node["properties"]:
        out["properties"] = {name: _node(child) for name, child in node["properties"].items()}
        if required := [name for name in node.get("required") or () if name in out["properties"]]:
            out["required"] = required
    if kind == "array":
        out["items"] = _node(node.get("items", {"type": "string"}))
    return out
