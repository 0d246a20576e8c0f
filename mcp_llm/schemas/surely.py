"""Whether a value fits a JSON Schema beyond doubt: a look at it, before a library is asked.

Arguments of tools nearly always fit, and their schemas are mostly plain: then nothing is imported (jsonschema takes
0.1 s) and nothing built (it takes 0.1 ms a check). It only ever says yes; what is wrong, and with whatever else a
schema may hold, the validator says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_llm.types.message import Json

MOST: Final = 500
"""Values and subschemas that are looked at."""
_TYPES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({bool}),
    "object": frozenset({dict}),
    "array": frozenset({list}),
    "null": frozenset({type(None)}),
}
_NUMBERS: Final = _TYPES["number"]
_WORDS: Final = frozenset(
    {"title", "description", "default", "examples", "format", "$schema", "deprecated", "readOnly", "writeOnly"}
)
"""Keywords that say something and ask for nothing."""


def fits(value: Json, schema: Json) -> bool:
    """True: it fits. False says nothing."""
    try:
        return _fits(value, schema, iter(range(MOST)))
    except (
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        RecursionError,
    ):  # a schema that is none, which the validator tells
        return False


def _fits(value: Json, schema: Json, room: Iterator[int]) -> bool:
    if next(room, None) is None or type(schema) is not dict:
        return False
    return all(keyword in _WORDS or _holds(keyword, wanted, value, schema, room) for keyword, wanted in schema.items())


def _holds(keyword: str, wanted: Any, value: Json, schema: dict[str, Any], room: Iterator[int]) -> bool:
    kind = type(value)
    match keyword:
        case "type":
            return any(kind in _TYPES[name] for name in ((wanted,) if type(wanted) is str else wanted))
        case "properties" if kind is dict:
            return all(_fits(value[name], inner, room) for name, inner in wanted.items() if name in value)
        case "required" if kind is dict:
            return all(name in value for name in wanted)
        case "additionalProperties" if kind is dict:
            return wanted is True or (wanted is False and value.keys() <= schema.get("properties", {}).keys())
        case "items" if kind is list:
            return all(_fits(item, wanted, room) for item in value)
        case "enum" if kind is str:
            return type(wanted) is list and value in wanted
        case "minimum" if kind in _NUMBERS:
            return bool(value >= wanted)
        case "maximum" if kind in _NUMBERS:
            return bool(value <= wanted)
        case "anyOf":
            return any(_fits(value, one, room) for one in wanted)
    return False
