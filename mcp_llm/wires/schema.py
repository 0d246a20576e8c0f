"""One plain JSON Schema -> what each kind of vendor takes of it, for tools and for structured output.

Pure transforms of a copy. They only ever loosen what the vendor enforces, so an answer has to be checked against the
original all the same; `without_nulls` first takes back the nulls that `to_strict` made room for.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mcp_llm.errors import Unsupported

from .keywords import ANNOTATIONS, Schema, flatten, hinted, primitive, walk
from .refs import normal
from .strict import to_strict, without_nulls

__all__ = ["inline_refs", "instruction", "to_closed", "to_plain", "to_strict", "without_nulls"]

_CLOSED_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_CLOSED: Final = frozenset({"type", "properties", "required", "anyOf", "allOf", "items", "title", "description"})
"""What a closed schema keeps as it is; `enum`, `const`, `format` and `minItems` only with values known to pass."""
_PLAIN_DROPS: Final = frozenset({"$schema", "$id", "$comment", "$anchor", "discriminator", "examples", "example"})


def inline_refs(schema: Schema) -> Schema:
    """The schema without references; only what is recursive stays a `$ref` into `$defs` (or `#`).

    Raises `InvalidInput` for a remote or dangling reference and for a schema past the caps.
    """
    return normal(schema, keep=False)


def instruction(schema: Schema | None) -> str:
    """Words that ask for JSON where the vendor has no field for it; None asks for any JSON object."""
    if schema is None:
        return "Answer with one JSON object and nothing else: no code fence, no words before or after it."
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return (
        "Answer with one JSON value that satisfies the JSON Schema below and nothing else: no code fence, no words "
        f"before or after it.\n{text}"
    )


def to_closed(schema: Schema) -> Schema:
    """Anthropic's subset: closed objects, references written out, limits it does not know told in the description.

    Raises `Unsupported` for what it cannot express - recursion, objects with free keys or put together of several,
    `not`, conditionals: send the schema unenforced (a tool) or ask in words (`instruction`) instead.
    """
    return _closed(normal(schema, keep=False))


def to_plain(schema: Schema) -> Schema:
    """Gemini's JSON Schema: references written out, `const` as `enum`, `allOf` joined, `oneOf` as `anyOf`."""
    return _plain(normal(schema, keep=False))


def _closed(node: Schema) -> Schema:
    if "$ref" in node or "$defs" in node:
        raise Unsupported("The JSON Schema is recursive, which this provider cannot enforce; bound its depth.")
    for key in ("not", "if", "patternProperties", "dependentSchemas", "dependentRequired", "prefixItems"):
        if key in node:
            raise Unsupported(f"The JSON Schema uses `{key}`, which this provider cannot enforce; rewrite it without.")
    node = flatten(node)
    is_object = _is_object(node)
    # Each part would be closed by itself, and forbid the keys that the others name.
    if (is_object or "allOf" in node) and any(map(_names_keys, _parts(node))):
        raise Unsupported(
            "The JSON Schema puts an object together of several, which this provider cannot enforce; name all of its "
            "properties in one place."
        )
    free = node.get("additionalProperties", False)
    if is_object and (free is not False or "properties" not in node):
        raise Unsupported(
            "The JSON Schema holds an object with free keys, which this provider cannot enforce; name its properties "
            "and set additionalProperties to false, or use a list of key-value pairs."
        )
    out: Schema = {}
    limits: Schema = {}
    for key, value in walk(node, _closed).items():
        if key == "oneOf":
            out.setdefault("anyOf", value)
        elif (
            key in _CLOSED
            or (key == "format" and str(value) in _CLOSED_FORMATS)
            or (key == "minItems" and value in (0, 1))
            or (key == "const" and primitive(value))
            or (key == "enum" and isinstance(value, list) and all(map(primitive, value)))
        ):
            out[key] = value
        elif key not in ANNOTATIONS and key != "additionalProperties":
            limits[key] = value
    if is_object:
        out["additionalProperties"] = False
    return hinted(out, limits)


def _is_object(node: Schema) -> bool:
    kind = node.get("type")
    return "properties" in node or kind == "object" or (isinstance(kind, list) and "object" in kind)


def _parts(node: Schema) -> list[Any]:
    """What it is put together of."""
    return [part for key in ("allOf", "anyOf", "oneOf") if isinstance(node.get(key), list) for part in node[key]]


def _names_keys(node: Any) -> bool:
    """Whether it or a part of it is an object."""
    return isinstance(node, dict) and (_is_object(node) or any(map(_names_keys, _parts(node))))


def _plain(node: Schema) -> Schema:
    node = flatten(node)
    out: Schema = {}
    limits: Schema = {}
    for key, value in walk(node, _plain).items():
        if key == "const":
            out.setdefault("enum", [value])
        elif key == "oneOf":
            out.setdefault("anyOf", value)
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            limits[key] = value
        elif key not in _PLAIN_DROPS:
            out[key] = value
    return hinted(out, limits)
