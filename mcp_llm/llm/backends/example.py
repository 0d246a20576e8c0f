"""A small value that satisfies a JSON Schema, the same one every time: the demo's way of answering in a given shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp_llm.types.message import Json

DEPTH: Final = 24
MOST_VALUES: Final = 10_000
"""In all of it: a schema of a few lines can ask for more than any memory holds."""
MOST_LETTERS: Final = 1_000_000
"""Of one text."""
FORMATS: Final[dict[str, str]] = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "demo@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: Json, words: str = "demo") -> Json:
    """The value; `words` fills plain strings. Keywords that only narrow a value (`pattern`, `not`) are not solved."""
    return _value(schema, _Asked(schema, words), DEPTH)


@dataclass(slots=True)
class _Asked:
    root: Json
    words: str
    left: int = MOST_VALUES


def _value(schema: Json, of: _Asked, depth: int) -> Json:
    of.left -= 1
    if not isinstance(schema, dict) or depth == 0 or of.left < 0:
        return None
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "examples"):
        if isinstance(schema.get(keyword), list) and schema[keyword]:
            return schema[keyword][0]
    if isinstance(reference := schema.get("$ref"), str):
        return _value(_resolve(reference, of.root), of, depth - 1)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(keyword), list) and options:
            return _value(options[0], of, depth - 1)
    if isinstance(parts := schema.get("allOf"), list) and parts:
        return _all(parts, {key: value for key, value in schema.items() if key != "allOf"}, of, depth)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return _of_kind(kind, schema, of, depth)


def _of_kind(kind: str, schema: dict[str, Any], of: _Asked, depth: int) -> Json:
    if kind == "object":
        properties = schema.get("properties") or {}
        wanted = schema.get("required") or list(properties)
        # Past half of the depth only what is required: optional properties of a recursive schema never end.
        names = [name for name in properties if name in wanted or depth > DEPTH // 2]
        return {name: _value(properties[name], of, depth - 1) for name in names} | {
            name: of.words for name in wanted if name not in properties
        }
    if kind == "array":
        count = max(int(schema.get("minItems", 1 if depth > DEPTH // 2 else 0)), 0)
        items = list(schema.get("prefixItems") or ())
        items += [schema.get("items", {})] * (min(count, of.left) - len(items))
        return [_value(item, of, depth - 1) for item in items[: schema.get("maxItems")]]
    if kind in {"integer", "number"}:
        return _number(kind, schema)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    text = FORMATS.get(schema.get("format", ""), of.words)
    return text.ljust(min(int(schema.get("minLength", 0)), MOST_LETTERS), ".")[
        : int(schema.get("maxLength", len(text) + 10_000))
    ]


def _number(kind: str, schema: dict[str, Any]) -> int | float:
    """The first that fits of: the lower bound, one step, the upper bound, the middle of both."""
    step = schema.get("multipleOf") or (1 if kind == "integer" else None)
    low = max((schema[name] for name in ("minimum", "exclusiveMinimum") if name in schema), default=None)
    high = min((schema[name] for name in ("maximum", "exclusiveMaximum") if name in schema), default=None)
    tries: list[float] = []
    if low is not None:
        first = -(-low // step) * step if step else low
        tries += [first, first + (step or 1)]
    tries.append(step or 1)
    if high is not None:
        last = high // step * step if step else high
        tries += [last, last - (step or 1)]
    if low is not None and high is not None:
        tries.append((low + high) / 2)
    value = next((value for value in tries if _in_bounds(value, schema)), tries[0])
    return int(value) if kind == "integer" else value


def _in_bounds(value: float, schema: dict[str, Any]) -> bool:
    return bool(
        value >= schema.get("minimum", value)
        and value <= schema.get("maximum", value)
        and value > schema.get("exclusiveMinimum", value - 1)
        and value < schema.get("exclusiveMaximum", value + 1)
    )


def _all(parts: list[Json], rest: dict[str, Any], of: _Asked, depth: int) -> Json:
    values = [_value(part, of, depth - 1) for part in ([rest, *parts] if rest else parts)]
    if all(isinstance(value, dict) for value in values):
        return {name: item for value in values for name, item in value.items()}
    return values[-1]


def _resolve(reference: str, root: Json) -> Json:
    node = root
    for piece in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        node = node.get(piece.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, dict) else {}
    return node
